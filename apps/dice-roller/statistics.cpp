#include "statistics.h"

#include <cmath>

namespace dice_roller {

Statistics Summarize(const std::vector<RollResult>& results) {
  Statistics statistics;
  double sum = 0;
  for (const auto& result : results) {
    if (!result) {
      ++statistics.errors;
      continue;
    }
    ++statistics.count;
    ++statistics.distribution[*result];
    sum += *result;
  }
  if (statistics.count == 0) return statistics;

  const double mean = sum / statistics.count;
  double squares = 0;
  for (const auto& [face, times] : statistics.distribution) squares += times * (face - mean) * (face - mean);
  statistics.spread =
      Statistics::Spread{statistics.distribution.begin()->first, statistics.distribution.rbegin()->first,
                         mean, std::sqrt(squares / statistics.count)};
  return statistics;
}

}  // namespace dice_roller
