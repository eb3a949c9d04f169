#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

namespace obs::trace {

/// Lets the first of many like messages through, then one every 30 s. Not thread-safe.
class Throttle {
 public:
  /// How many were held back since the last one that went through; nothing when this one is held back too.
  std::optional<std::uint64_t> Pass() {
    const auto now = std::chrono::steady_clock::now();
    if (passed_ && now - *passed_ < kInterval) {
      ++held_back_;
      return std::nullopt;
    }
    passed_ = now;
    return std::exchange(held_back_, 0);
  }

 private:
  static constexpr std::chrono::seconds kInterval{30};

  std::optional<std::chrono::steady_clock::time_point> passed_;
  std::uint64_t held_back_ = 0;
};

}  // namespace obs::trace
