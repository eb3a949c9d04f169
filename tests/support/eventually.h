#pragma once

#include <chrono>
#include <thread>

namespace support {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

/// How long a test waits for something that should happen soon: far beyond what a loaded machine needs,
/// because only a failing test waits that long.
inline constexpr std::chrono::milliseconds kPatience{15000};

/// Polls `condition` until it holds or `limit` has passed; tells whether it held.
template <typename Condition>
bool Eventually(Condition condition, std::chrono::milliseconds limit = kPatience) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

/// Time since construction.
class Stopwatch {
 public:
  std::chrono::milliseconds elapsed() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start_);
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace support
