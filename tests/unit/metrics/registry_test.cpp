#include "obs/metrics/registry.h"

#include <gmock/gmock.h>

#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace obs::metrics {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Page(const Registry& registry) { return registry.Render(Format::kText); }

TEST(Registry, GivesTheSameSeriesForTheSameLabels) {
  Registry registry;
  auto& family = registry.AddCounter("rolls_total", "Rolls.", {"die", "mode"});
  EXPECT_EQ(&family.With({"fair", "sync"}), &family.With({std::string("fair"), "sync"}));
  EXPECT_NE(&family.With({"fair", "sync"}), &family.With({"fair", "async"}));
}

TEST(Registry, ShowsAFamilyWithoutLabelsFromTheStart) {
  Registry registry;
  registry.AddCounter("errors_total", "Errors.");
  EXPECT_THAT(Page(registry), HasSubstr("\nerrors_total 0\n"));
}

TEST(Registry, CountsLabelSetsBeyondTheLimitUnderOther) {
  Registry registry;
  auto& family = registry.AddCounter("rolls_total", "Rolls.", {"die", "mode"}, 2);
  family.With({"a", "sync"}).Increment();
  family.With({"b", "sync"}).Increment();
  for (int i = 0; i < 1000; ++i) family.With({std::to_string(i), "sync"}).Increment();
  family.With({"a", "sync"}).Increment();
  EXPECT_EQ(Page(registry),
            "# HELP rolls_total Rolls.\n"
            "# TYPE rolls_total counter\n"
            "rolls_total{die=\"_other\",mode=\"_other\"} 1000\n"
            "rolls_total{die=\"a\",mode=\"sync\"} 2\n"
            "rolls_total{die=\"b\",mode=\"sync\"} 1\n");
}

TEST(Registry, CountsLabelsThatAreNotUtf8UnderOther) {
  Registry registry;
  registry.AddCounter("rolls_total", "Rolls.", {"die"}).With({"\xFF"}).Increment();
  EXPECT_THAT(Page(registry), HasSubstr("rolls_total{die=\"_other\"} 1\n"));
}

TEST(Registry, RejectsAnotherNumberOfLabelValues) {
  Registry registry;
  auto& family = registry.AddCounter("rolls_total", "Rolls.", {"die", "mode"});
  EXPECT_THROW(family.With({"fair"}), std::invalid_argument);
  EXPECT_THROW(family.With({"fair", "sync", "more"}), std::invalid_argument);
}

TEST(Registry, GivesTheSameFamilyForTheSameRegistration) {
  Registry registry;
  EXPECT_EQ(&registry.AddCounter("rolls_total", "Rolls.", {"die"}),
            &registry.AddCounter("rolls_total", "Rolls.", {"die"}));
}

TEST(Registry, RejectsANameTwiceWithAnotherMeaning) {
  Registry registry;
  registry.AddCounter("rolls_total", "Rolls.", {"die"});
  registry.AddHistogram("seconds", "Time.", {}, {1, 2});
  EXPECT_THROW(registry.AddCounter("rolls_total", "Rolls.", {"mode"}), std::invalid_argument);
  EXPECT_THROW(registry.AddCounter("rolls_total", "Other.", {"die"}), std::invalid_argument);
  EXPECT_THROW(registry.AddGauge("rolls_total", "Rolls.", {"die"}), std::invalid_argument);
  EXPECT_THROW(registry.AddGauge("rolls", "The same family in OpenMetrics."), std::invalid_argument);
  EXPECT_THROW(registry.AddCallbackCounter("rolls_total", "Rolls.", [] { return 0.0; }),
               std::invalid_argument);
  EXPECT_THROW(registry.AddHistogram("seconds", "Time.", {}, {1, 3}), std::invalid_argument);
  EXPECT_THAT(Page(registry), Not(HasSubstr("Other.")));
}

TEST(Registry, RejectsWhatNoScraperWouldAccept) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Registry registry;
  EXPECT_THROW(registry.AddCounter("rolls", "No _total."), std::invalid_argument);
  EXPECT_THROW(registry.AddGauge("rolls_total", "No counter."), std::invalid_argument);
  EXPECT_THROW(registry.AddGauge("", "Empty."), std::invalid_argument);
  EXPECT_THROW(registry.AddGauge("two words", "A blank."), std::invalid_argument);
  EXPECT_THROW(registry.AddGauge("help", "\xFF"), std::invalid_argument);
  EXPECT_THROW(registry.AddGauge("labels", "Labels.", {"a-b"}), std::invalid_argument);
  EXPECT_THROW(registry.AddGauge("labels", "Labels.", {"__a"}), std::invalid_argument);
  EXPECT_THROW(registry.AddGauge("labels", "Labels.", {"a", "a"}), std::invalid_argument);
  EXPECT_THROW(registry.AddHistogram("buckets", "Buckets.", {"le"}, {1}), std::invalid_argument);
  EXPECT_THROW(registry.AddHistogram("buckets", "Buckets.", {}, {2, 1}), std::invalid_argument);
  EXPECT_THROW(registry.AddHistogram("buckets", "Buckets.", {}, {1, 1}), std::invalid_argument);
  EXPECT_THROW(registry.AddHistogram("buckets", "Buckets.", {}, {1, kInfinity}), std::invalid_argument);
  EXPECT_EQ(Page(registry), "");
}

TEST(Registry, ReadsCallbacksAtEachScrape) {
  Registry registry;
  double size = 1;
  registry.AddCallbackGauge("queue_size", "Waiting.", [&size] { return size; });
  registry.AddCallbackCounter("drops_total", "Dropped.", [&size] { return size * 2; });
  size = 21;
  EXPECT_THAT(Page(registry), HasSubstr("\nqueue_size 21\n"));
  EXPECT_THAT(Page(registry), HasSubstr("\ndrops_total 42\n"));
}

TEST(Registry, LetsACallbackUseTheRegistry) {
  Registry registry;
  registry.AddCallbackGauge("callback", "Reads and writes.", [&registry] {
    registry.AddCounter("reads_total", "Reads.").With({}).Increment();
    return 1.0;
  });
  Page(registry);
  EXPECT_THAT(Page(registry), HasSubstr("\nreads_total 2\n"));
}

TEST(Registry, CountsExactlyWhileItIsScraped) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 5000;
  Registry registry;
  auto& family = registry.AddCounter("rolls_total", "Rolls.", {"die"}, 3);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&family] {
      for (int n = 0; n < kRounds; ++n) family.With({std::to_string(n % 10)}).Increment();
    });
  }
  for (int i = 0; i < 20; ++i) Page(registry);
  for (std::thread& thread : threads) thread.join();
  double sum = 0;
  for (const char* die : {"_other", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}) {
    const std::string page = Page(registry);
    const std::string series = "rolls_total{die=\"" + std::string(die) + "\"} ";
    if (const std::size_t at = page.find(series); at != std::string::npos)
      sum += std::stod(page.substr(at + series.size()));
  }
  EXPECT_EQ(sum, kThreads * kRounds);
}

}  // namespace
}  // namespace obs::metrics
