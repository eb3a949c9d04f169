#include "obs/metrics/histogram.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "obs/metrics/registry.h"

namespace obs::metrics {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

class HistogramTest : public testing::Test {
 protected:
  std::string Page() const { return registry_.Render(Format::kOpenMetrics); }

  Registry registry_;
  Histogram& histogram_ = registry_.AddHistogram("duration_seconds", "Duration.", {}, {0.1, 1}).With({});
};

TEST_F(HistogramTest, MeasuresDurationsInSeconds) {
  histogram_.Observe(250ms);
  EXPECT_THAT(Page(), HasSubstr("duration_seconds_sum 0.25\n"));
}

TEST_F(HistogramTest, KeepsNoExemplarWithoutBothIds) {
  const std::string trace_id(32, 'a');
  histogram_.Observe(0.5);
  histogram_.Observe(0.5, {trace_id, ""});
  histogram_.Observe(0.5, {"", "b7ad6b7169203331"});
  histogram_.Observe(0.5, {trace_id + "a", "b7ad6b7169203331"});
  EXPECT_THAT(Page(), HasSubstr("duration_seconds_count 4\n"));
  EXPECT_THAT(Page(), Not(HasSubstr("trace_id")));
}

TEST_F(HistogramTest, IsNotSpoiltByNan) {
  histogram_.Observe(0.5);
  histogram_.Observe(std::numeric_limits<double>::quiet_NaN());
  EXPECT_THAT(Page(), HasSubstr("duration_seconds_sum 0.5\n"));
  EXPECT_THAT(Page(), HasSubstr("duration_seconds_count 1\n"));
}

TEST_F(HistogramTest, NeverMixesTheExemplarsOfTwoThreads) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (const char digit : {'a', 'b'}) {
    threads.emplace_back([this, &stop, digit] {
      const std::string trace_id(32, digit);
      const std::string span_id(16, digit);
      while (!stop) histogram_.Observe(0.5, {trace_id, span_id});
    });
  }
  int seen = 0;
  for (int i = 0; i < 100000 && seen < 500; ++i) {
    const std::string page = Page();
    const std::size_t at = page.find("trace_id=\"");
    if (at == std::string::npos) continue;
    ++seen;
    const char digit = page[at + 10];
    EXPECT_THAT(page,
                HasSubstr("trace_id=\"" + std::string(32, digit) + "\",span_id=\"" + std::string(16, digit)));
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(seen, 500);
}

TEST(DurationBuckets, AreThoseOfTheSemanticConventions) {
  EXPECT_EQ(HttpDurationBuckets().front(), 0.005);
  EXPECT_EQ(HttpDurationBuckets().size(), 14u);
  EXPECT_EQ(DatabaseDurationBuckets().front(), 0.001);
  EXPECT_EQ(DatabaseDurationBuckets().size(), 9u);
  for (const auto* bounds : {&HttpDurationBuckets(), &DatabaseDurationBuckets()}) {
    EXPECT_EQ(bounds->back(), 10);
    EXPECT_TRUE(std::is_sorted(bounds->begin(), bounds->end()));
  }
}

}  // namespace
}  // namespace obs::metrics
