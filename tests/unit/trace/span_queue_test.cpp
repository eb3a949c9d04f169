#include "obs/trace/span_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

namespace obs::trace {
namespace {

// The queue alone, with a reader that looks all the time.
TEST(SpanQueue, HasEachSpanInOneCounterAtAnyTime) {
  constexpr int kThreads = 3;
  constexpr int kSpans = 5000;
  SpanQueue queue({.queue_size = 256, .batch_size = 16}, 0, [] {});
  std::atomic<int> begun = 0;
  std::atomic<int> ended = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < kSpans; ++n) {
        TraceId trace{};
        trace[8] = static_cast<char>(n);
        trace[15] = static_cast<char>(i);
        ++begun;
        queue.Take(trace, "a span");
        ++ended;
      }
    });
  }
  const auto sum = [&queue] {
    const SpanCounters counters = queue.counters();
    return static_cast<int>(counters.waiting + counters.exported + counters.failed + counters.dropped);
  };
  while (ended < kThreads * kSpans || !queue.empty()) {
    const int least = ended;
    const int counted = sum();
    ASSERT_LE(least, counted);
    ASSERT_LE(counted, begun);
    if (auto request = queue.NextRequest(true)) {
      const std::size_t exported = request->spans() / 2;
      queue.Settle(std::move(*request), exported);
    }
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sum(), kThreads * kSpans);
  EXPECT_EQ(queue.counters().waiting, 0u);
}

// What its thread pays for a span: no call that wakes another, but for the last span of a request.
TEST(SpanQueue, WakesTheExporterOnceForARequest) {
  int woken = 0;
  SpanQueue queue({.queue_size = 1000, .batch_size = 100}, 0, [&woken] { ++woken; });
  for (int n = 0; n < 250; ++n) queue.Take(TraceId{}, "a span");
  EXPECT_EQ(woken, 2);
  queue.Close();
  for (int n = 0; n < 250; ++n) queue.Take(TraceId{}, "a span");
  EXPECT_EQ(woken, 2);
  EXPECT_EQ(queue.counters().dropped, 250u);
}

}  // namespace
}  // namespace obs::trace
