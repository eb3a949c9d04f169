#include "obs/async/blocking_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <stdexcept>

#include "helpers.h"
#include "support/eventually.h"

namespace obs::async {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::ElementsAre;
using Work = std::function<std::string(std::stop_token)>;

/// Work that holds its thread until the test lets it go.
class Blocker {
 public:
  Work work(std::string name) {
    return [this, name = std::move(name)](const std::stop_token&) {
      started_.set_value();
      released_.wait();
      return name;
    };
  }
  void WaitUntilStarted() { started_.get_future().wait(); }
  void Release() { release_.set_value(); }

 private:
  std::promise<void> started_;
  std::promise<void> release_;
  std::shared_future<void> released_ = release_.get_future().share();
};

Work Say(std::string words) {
  return [words = std::move(words)](const std::stop_token&) { return words; };
}

Task<void> Keep(BlockingPool& pool, Loop& loop, Work work, Deadline start_by,
                std::vector<std::string>& outcomes) {
  try {
    outcomes.push_back(co_await pool.Run<std::string>(loop, std::move(work), start_by));
  } catch (const BlockingPool::NotRun& error) {
    outcomes.emplace_back(error.refusal == BlockingPool::Refusal::kQueueFull ? "queue full" : "not started");
  } catch (const std::exception& exception) {
    outcomes.emplace_back(exception.what());
  }
}

class BlockingPoolTest : public testing::Test {
 protected:
  void Spawn(BlockingPool& pool, Work work, Deadline start_by = Deadline::max()) {
    standalone_.loop().Spawn(Keep(pool, standalone_.loop(), std::move(work), start_by, outcomes_));
  }
  void RunUntilListed(std::size_t size) {
    standalone_.RunUntil([this, size] { return outcomes_.size() >= size; });
  }

  std::vector<std::string> outcomes_;
  CountingListener listener_;
  StandaloneLoop standalone_;
};

TEST_F(BlockingPoolTest, RunsWorkOnAThreadOfItsOwnAndGivesWhatItReturns) {
  BlockingPool pool(2, 10);
  const auto own = std::this_thread::get_id();
  Spawn(pool, [own](const std::stop_token&) {
    return std::string(std::this_thread::get_id() != own ? "elsewhere" : "here");
  });
  RunUntilListed(1);
  EXPECT_THAT(outcomes_, ElementsAre("elsewhere"));
}

TEST_F(BlockingPoolTest, ThrowsWhatTheWorkThrows) {
  BlockingPool pool(1, 10);
  Spawn(pool, [](const std::stop_token&) -> std::string { throw std::runtime_error("no luck"); });
  RunUntilListed(1);
  EXPECT_THAT(outcomes_, ElementsAre("no luck"));
  Spawn(pool, Say("works on"));
  RunUntilListed(2);
  EXPECT_EQ(outcomes_.back(), "works on");
}

TEST_F(BlockingPoolTest, RunsWhatWaitsInOrder) {
  BlockingPool pool(1, 100);
  std::vector<std::string> expected;
  for (int i = 0; i < 50; ++i) {
    expected.push_back(std::to_string(i));
    Spawn(pool, Say(std::to_string(i)));
  }
  RunUntilListed(50);
  EXPECT_EQ(outcomes_, expected);
}

TEST_F(BlockingPoolTest, RefusesAtOnceWhenEveryThreadIsBusyAndTheQueueIsFull) {
  Blocker blocker;
  BlockingPool pool(1, 2);
  Spawn(pool, blocker.work("first"));
  blocker.WaitUntilStarted();
  Spawn(pool, Say("second"));
  Spawn(pool, Say("third"));
  EXPECT_EQ(pool.queue_length(), 2U);
  Spawn(pool, Say("fourth"));
  EXPECT_THAT(outcomes_, ElementsAre("queue full"));
  blocker.Release();
  RunUntilListed(4);
  EXPECT_THAT(outcomes_, ElementsAre("queue full", "first", "second", "third"));
}

TEST_F(BlockingPoolTest, TakesWorkForAnIdleThreadWithoutAQueue) {
  BlockingPool pool(1, 0);
  ASSERT_TRUE(support::Eventually([&] {
    outcomes_.clear();
    Spawn(pool, Say("done"));
    RunUntilListed(1);
    return outcomes_.front() == "done";
  })) << "once the thread has come up";
}

TEST_F(BlockingPoolTest, GivesUpOnWorkThatHasNotStartedInTime) {
  Blocker blocker;
  BlockingPool pool(1, 10);
  Spawn(pool, blocker.work("first"));
  blocker.WaitUntilStarted();
  Spawn(pool, Say("late"), Clock::now() + 50ms);
  RunUntilListed(1);
  EXPECT_THAT(outcomes_, ElementsAre("not started"));
  EXPECT_EQ(pool.queue_length(), 0U);
  blocker.Release();
  RunUntilListed(2);
  EXPECT_EQ(outcomes_.back(), "first");
}

TEST_F(BlockingPoolTest, WaitsForWorkThatStartedInTimeHoweverLongItTakes) {
  Blocker blocker;
  BlockingPool pool(1, 10);
  Spawn(pool, blocker.work("took long"), Clock::now() + 200ms);
  blocker.WaitUntilStarted();
  bool passed = false;
  const auto wait = [](Loop& loop, bool& flag) -> Task<void> {
    co_await Sleep(loop, 300ms);
    flag = true;
  };
  standalone_.loop().Spawn(wait(standalone_.loop(), passed));
  standalone_.RunUntil([&passed] { return passed; });
  EXPECT_TRUE(outcomes_.empty());
  blocker.Release();
  RunUntilListed(1);
  EXPECT_THAT(outcomes_, ElementsAre("took long"));
}

TEST_F(BlockingPoolTest, TakesCancelledWorkOutOfTheQueue) {
  Blocker blocker;
  BlockingPool pool(1, 10);
  Spawn(pool, blocker.work("first"));
  blocker.WaitUntilStarted();
  std::atomic<bool> ran{false};
  {
    Root root;
    root.Start(Keep(
                   pool, standalone_.loop(),
                   [&ran](const std::stop_token&) {
                     ran = true;
                     return std::string();
                   },
                   Deadline::max(), outcomes_),
               listener_);
    EXPECT_EQ(pool.queue_length(), 1U);
  }
  EXPECT_EQ(pool.queue_length(), 0U);
  Spawn(pool, Say("next"));
  blocker.Release();
  RunUntilListed(2);
  EXPECT_THAT(outcomes_, ElementsAre("first", "next"));
  EXPECT_FALSE(ran);
}

TEST_F(BlockingPoolTest, AsksCancelledWorkThatRunsToStop) {
  std::promise<void> started;
  std::promise<void> stopped;
  BlockingPool pool(1, 10);
  {
    Root root;
    root.Start(Keep(
                   pool, standalone_.loop(),
                   [&](const std::stop_token& stop) {
                     started.set_value();
                     while (!stop.stop_requested()) std::this_thread::yield();
                     stopped.set_value();
                     return std::string("nobody hears this");
                   },
                   Deadline::max(), outcomes_),
               listener_);
    started.get_future().wait();
  }
  EXPECT_EQ(stopped.get_future().wait_for(support::kPatience), std::future_status::ready);
  Spawn(pool, Say("next"));
  RunUntilListed(1);
  EXPECT_THAT(outcomes_, ElementsAre("next"));
}

TEST_F(BlockingPoolTest, KeepsResultsOfCancelledWorkFromWhatCameAfterIt) {
  // The end of the cancelled work is on its way to the loop when the next one has taken its place there.
  BlockingPool pool(4, 1000);
  for (int i = 0; i < 300; ++i) {
    {
      Root root;
      root.Start(Keep(pool, standalone_.loop(), Say("cancelled"), Deadline::max(), outcomes_), listener_);
      if (i % 2 == 0) std::this_thread::yield();
    }
    Spawn(pool, Say("kept"));
  }
  RunUntilListed(300);
  EXPECT_THAT(outcomes_, testing::Each(std::string("kept")));
  EXPECT_EQ(listener_.finished, 0);
}

TEST_F(BlockingPoolTest, OutlivesTheLoopThatWaitedForItsWork) {
  Blocker blocker;
  BlockingPool pool(1, 10);
  {
    StandaloneLoop other;
    other.loop().Spawn(Keep(pool, other.loop(), blocker.work("late"), Deadline::max(), outcomes_));
    other.loop().Spawn(Keep(pool, other.loop(), Say("queued"), Deadline::max(), outcomes_));
    blocker.WaitUntilStarted();
  }
  EXPECT_EQ(pool.queue_length(), 0U);
  blocker.Release();
  Spawn(pool, Say("works on"));
  RunUntilListed(1);
  EXPECT_THAT(outcomes_, ElementsAre("works on"));
}

TEST_F(BlockingPoolTest, StopFinishesWhatRunsAndRefusesWhatWaits) {
  Blocker blocker;
  BlockingPool pool(1, 10);
  Spawn(pool, blocker.work("first"));
  blocker.WaitUntilStarted();
  Spawn(pool, Say("second"));
  auto stopped = std::async(std::launch::async, [&pool] { pool.Stop(); });
  ASSERT_TRUE(support::Eventually([&pool] { return pool.queue_length() == 0; }));
  blocker.Release();
  stopped.wait();
  RunUntilListed(2);
  EXPECT_THAT(outcomes_, testing::UnorderedElementsAre("first", "queue full"));
  Spawn(pool, Say("third"));
  EXPECT_EQ(outcomes_.back(), "queue full");
}

TEST_F(BlockingPoolTest, WorksForSeveralLoopsAtOnce) {
  BlockingPool pool(3, 10'000);
  LoopThread other;
  std::vector<std::string> others;
  std::atomic<bool> done{false};
  other.Do([&] {
    for (int i = 0; i < 500; ++i)
      other.loop().Spawn(Keep(pool, other.loop(), Say("x"), Deadline::max(), others));
  });
  for (int i = 0; i < 500; ++i) Spawn(pool, Say("y"));
  RunUntilListed(500);
  ASSERT_TRUE(support::Eventually([&] {
    other.Do([&] { done = others.size() == 500; });
    return done.load();
  }));
  EXPECT_THAT(outcomes_, testing::Each(std::string("y")));
}

}  // namespace
}  // namespace obs::async
