#pragma once

#include <gmock/gmock.h>

#include <chrono>
#include <thread>

namespace support {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

/// How long a test waits for something that should happen soon: far beyond what a loaded machine needs,
/// because only a failing test waits that long.
inline constexpr std::chrono::milliseconds kPatience{30000};

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

/// Waits until what `read` gives satisfies `wanted`, a value or a matcher: for a log line, a metric or a span
/// that another thread or process makes. A failure says what it was in the end.
///
///     EXPECT_TRUE(Becomes([&] { return service.Metric("http_requests_total"); }, 3));
template <typename Read, typename Wanted>
testing::AssertionResult Becomes(Read read, const Wanted& wanted,
                                 std::chrono::milliseconds limit = kPatience) {
  using Value = decltype(read());
  const testing::Matcher<const Value&> matcher = testing::SafeMatcherCast<const Value&>(wanted);
  Value value = read();
  if (Eventually([&] { return matcher.Matches(value) || matcher.Matches(value = read()); }, limit)) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << "is " << testing::PrintToString(value) << ", and no value within "
                                     << limit.count() << " ms "
                                     << testing::DescribeMatcher<const Value&>(wanted);
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
