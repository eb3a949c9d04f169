#pragma once

#include <algorithm>
#include <chrono>
#include <random>
#include <utility>

namespace obs::trace {

/// The pauses between attempts: each twice as long as the last, and shorter by chance by up to a half, so
/// that services that lost the same collector do not all come back at once.
class Backoff {
 public:
  std::chrono::milliseconds Next(std::minstd_rand& random) {
    const auto longest = std::exchange(longest_, std::min(2 * longest_, kMax));
    std::uniform_int_distribution<std::chrono::milliseconds::rep> pause(longest.count() / 2, longest.count());
    return std::chrono::milliseconds(pause(random));
  }

 private:
  static constexpr std::chrono::milliseconds kFirst{100};
  static constexpr std::chrono::milliseconds kMax{5000};

  std::chrono::milliseconds longest_ = kFirst;
};

}  // namespace obs::trace
