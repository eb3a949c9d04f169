#include "obs/postgres/canceller.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "support/eventually.h"

namespace obs::postgres {
namespace {

using support::Eventually;
using support::Stopwatch;
using support::operator""ms;
using support::operator""s;

constexpr auto kNever = Canceller::Clock::time_point::max();

TEST(Canceller, SendsNothingForWhatEndsByItself) {
  Canceller canceller;
  std::atomic<int> sent = 0;
  std::stop_source stop;
  {
    Canceller::Run run(
        canceller, [&sent] { ++sent; }, stop.get_token(), kNever);
    EXPECT_TRUE(run.End(0ms));
  }
  stop.request_stop();
  canceller.Stop();
  EXPECT_EQ(sent, 0);
}

TEST(Canceller, SendsAgainUntilTheRunEnds) {
  Canceller canceller;
  std::atomic<int> sent = 0;
  std::stop_source stop;
  Canceller::Run run(
      canceller, [&sent] { ++sent; }, stop.get_token(), kNever);
  stop.request_stop();
  EXPECT_TRUE(Eventually([&] { return sent >= 3; }));
  EXPECT_TRUE(run.End(5s));
  const int before = sent;
  canceller.Stop();
  EXPECT_EQ(sent, before);
}

TEST(Canceller, SendsAtTheDeadline) {
  Canceller canceller;
  std::atomic<int> late = 0;
  std::atomic<int> never = 0;
  const auto deadline = Canceller::Clock::now() + 50ms;
  const Canceller::Run other(
      canceller, [&never] { ++never; }, {}, kNever);
  const Canceller::Run run(
      canceller,
      [&, test = std::this_thread::get_id()] {
        EXPECT_GE(Canceller::Clock::now(), deadline);
        EXPECT_NE(std::this_thread::get_id(), test);
        ++late;
      },
      {}, deadline);
  EXPECT_TRUE(Eventually([&] { return late > 0; }));
  EXPECT_EQ(never, 0);
}

TEST(Canceller, SendsAtOnceForWhatWasGivenUpBefore) {
  Canceller canceller;
  std::atomic<int> sent = 0;
  std::stop_source stop;
  stop.request_stop();
  const Canceller::Run run(
      canceller, [&sent] { ++sent; }, stop.get_token(), kNever);
  EXPECT_TRUE(Eventually([&] { return sent > 0; }));
}

TEST(Canceller, EndsARunAfterItsRequestHasArrived) {
  Canceller canceller;
  std::promise<void> begun;
  std::promise<void> arrives;
  std::atomic<bool> arrived = false;
  std::stop_source stop;
  Canceller::Run run(
      canceller,
      [&] {
        if (arrived) return;
        begun.set_value();
        arrives.get_future().wait();
        arrived = true;
      },
      stop.get_token(), kNever);
  stop.request_stop();
  begun.get_future().wait();
  EXPECT_FALSE(run.End(20ms)) << "it is under way";
  EXPECT_FALSE(arrived);
  arrives.set_value();
  EXPECT_TRUE(run.End(15s));
  EXPECT_TRUE(arrived);
}

TEST(Canceller, StopsThoughTheServerStandsStill) {
  const auto thaw = std::make_shared<std::promise<void>>();
  const auto thawed = std::make_shared<std::promise<void>>();
  const auto begun = std::make_shared<std::promise<void>>();
  {
    Canceller canceller;
    std::stop_source stop;
    Canceller::Run run(
        canceller,
        [thaw, thawed, begun] {
          begun->set_value();
          thaw->get_future().wait();
          thawed->set_value();
        },
        stop.get_token(), kNever);
    stop.request_stop();
    begun->get_future().wait();
    EXPECT_FALSE(run.End(0ms));
    const Stopwatch stopwatch;
    canceller.Stop();
    EXPECT_LT(stopwatch.elapsed(), 10s);
  }
  thaw->set_value();
  thawed->get_future().wait();
}

}  // namespace
}  // namespace obs::postgres
