#include "obs/async/wake_up.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "helpers.h"
#include "support/eventually.h"

namespace obs::async {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;

/// Gives its token out, and waits.
Task<bool> Wait(Loop& loop, Deadline deadline, std::promise<Loop::Token>& token) {
  WakeUp wake_up(loop, deadline);
  token.set_value(wake_up.token());
  co_return co_await wake_up;
}

TEST(WakeUp, GoesOnWhenAnotherThreadWakesIt) {
  StandaloneLoop standalone;
  std::promise<Loop::Token> token;
  std::thread waker(
      [mailbox = standalone.loop().mailbox(), &standalone, future = token.get_future()]() mutable {
        Loop::Wake(mailbox, &standalone.loop(), future.get());
      });
  EXPECT_TRUE(standalone.Run(Wait(standalone.loop(), Clock::now() + 1h, token)));
  waker.join();
  EXPECT_EQ(standalone.loop().timers(), 0U);
}

TEST(WakeUp, GoesOnAtItsDeadline) {
  StandaloneLoop standalone;
  std::promise<Loop::Token> token;
  EXPECT_FALSE(standalone.Run(Wait(standalone.loop(), Clock::now() + 5ms, token)));
  EXPECT_FALSE(standalone.Run([](Loop& loop) -> Task<bool> {
    WakeUp past(loop, Clock::now() - 1h);
    co_return co_await past;
  }(standalone.loop())));
}

TEST(WakeUp, IsNotThereForOneWhoWakesItLate) {
  StandaloneLoop standalone;
  std::promise<Loop::Token> first;
  EXPECT_FALSE(standalone.Run(Wait(standalone.loop(), Clock::now() + 1ms, first)));
  // The next has its place in the loop, and does not hear what was meant for the first.
  Loop::Wake(standalone.loop().mailbox(), &standalone.loop(), first.get_future().get());
  std::promise<Loop::Token> second;
  EXPECT_FALSE(standalone.Run(Wait(standalone.loop(), Clock::now() + 20ms, second)));
}

TEST(WakeUp, GoesOnOnceHoweverOftenItIsWoken) {
  StandaloneLoop standalone;
  std::promise<Loop::Token> token;
  std::thread waker(
      [mailbox = standalone.loop().mailbox(), &standalone, future = token.get_future()]() mutable {
        const Loop::Token woken = future.get();
        for (int i = 0; i < 100; ++i) Loop::Wake(mailbox, &standalone.loop(), woken);
      });
  EXPECT_TRUE(standalone.Run(Wait(standalone.loop(), Deadline::max(), token)));
  waker.join();
  std::promise<Loop::Token> second;
  EXPECT_FALSE(standalone.Run(Wait(standalone.loop(), Clock::now() + 5ms, second)));
}

TEST(WakeUp, MayBeCancelledBeforeItIsWoken) {
  StandaloneLoop standalone;
  std::promise<Loop::Token> token;
  CountingListener listener;
  const auto wait = [](Loop& loop, std::promise<Loop::Token>& out) -> Task<void> {
    WakeUp wake_up(loop, Clock::now() + 1h);
    out.set_value(wake_up.token());
    co_await wake_up;
  };
  {
    Root root;
    root.Start(wait(standalone.loop(), token), listener);
  }
  EXPECT_EQ(standalone.loop().timers(), 0U);
  standalone.loop().Dispatch(token.get_future().get(), {});
  EXPECT_EQ(listener.finished, 0);
}

Task<void> Keep(Loop& here, Loop& there, std::function<std::thread::id()> work,
                std::optional<std::optional<std::thread::id>>& outcome) {
  outcome.emplace(co_await RunOn(here, there, std::move(work)));
}

class RunOnTest : public testing::Test {
 protected:
  void Start(Loop& there) {
    std::function<std::thread::id()> work = [] { return std::this_thread::get_id(); };
    here_.loop().Spawn(Keep(here_.loop(), there, std::move(work), outcome_));
  }

  std::optional<std::optional<std::thread::id>> outcome_;
  StandaloneLoop here_;
};

TEST_F(RunOnTest, RunsOnTheOtherThreadAndGivesTheResultHere) {
  LoopThread there;
  Start(there.loop());
  here_.RunUntil([this] { return outcome_.has_value(); });
  EXPECT_EQ(*outcome_, there.id());
}

TEST_F(RunOnTest, RunsAtOnceOnItsOwnThread) {
  Start(here_.loop());
  ASSERT_TRUE(outcome_);
  EXPECT_EQ(*outcome_, std::this_thread::get_id());
}

TEST_F(RunOnTest, GivesNothingWhenTheOtherLoopHasStopped) {
  StandaloneLoop there;
  there.loop().Stop();
  Start(there.loop());
  ASSERT_TRUE(outcome_);
  EXPECT_FALSE(*outcome_);
}

TEST_F(RunOnTest, GivesNothingWhenTheOtherLoopStopsBeforeItsTurn) {
  StandaloneLoop there;
  Start(there.loop());
  EXPECT_FALSE(outcome_);
  there.loop().Stop();
  here_.RunUntil([this] { return outcome_.has_value(); });
  EXPECT_FALSE(*outcome_);
}

TEST_F(RunOnTest, MayBeCancelledBeforeItsResultComes) {
  LoopThread there;
  for (int i = 0; i < 100; ++i) {
    StandaloneLoop short_lived;
    std::optional<std::optional<std::thread::id>> outcome;
    std::function<std::thread::id()> work = [] { return std::this_thread::get_id(); };
    short_lived.loop().Spawn(Keep(short_lived.loop(), there.loop(), std::move(work), outcome));
  }
  there.Do([] {});
}

}  // namespace
}  // namespace obs::async
