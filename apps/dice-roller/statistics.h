#pragma once

#include <map>
#include <optional>
#include <vector>

#include "roller.h"

namespace dice_roller {

/// Of the rolls that succeeded. With none there is no smallest, largest, mean or deviation.
struct Statistics {
  struct Spread {
    int min;
    int max;
    double mean;
    double standard_deviation;  ///< of the population: the root of the mean squared distance from the mean
  };
  int count = 0;
  int errors = 0;  ///< rolls that failed
  std::optional<Spread> spread;
  std::map<int, int> distribution;  ///< how often each face came up
};

Statistics Summarize(const std::vector<RollResult>& results);

}  // namespace dice_roller
