#include "obs/async/concurrency_limit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "helpers.h"
#include "support/eventually.h"
#include "support/sanitized.h"

namespace obs::async {
namespace {

using std::chrono_literals::operator""ms;
using testing::ElementsAre;
using Permit = ConcurrencyLimit::Permit;
using Refusal = ConcurrencyLimit::Refusal;

/// Waits for its turn, says so, and keeps it until the pause ends.
Task<void> Take(ConcurrencyLimit& limit, Loop& loop, Deadline deadline, Pause* pause, std::string name,
                std::vector<std::string>& list) {
  const auto turn = co_await limit.Acquire(loop, deadline);
  switch (turn.refusal) {
    case Refusal::kNone:
      list.push_back(name);
      if (pause != nullptr) co_await *pause;
      break;
    case Refusal::kTooManyWait:
      list.push_back(name + " refused");
      break;
    case Refusal::kLate:
      list.push_back(name + " late");
      break;
  }
}

class ConcurrencyLimitTest : public testing::Test {
 protected:
  Loop& loop() { return standalone_.loop(); }
  Task<void> Take(ConcurrencyLimit& limit, std::string name, Pause* pause = nullptr,
                  Deadline deadline = Deadline::max()) {
    return async::Take(limit, loop(), deadline, pause, std::move(name), list_);
  }
  void RunUntilListed(std::size_t size) {
    standalone_.RunUntil([this, size] { return list_.size() >= size; });
  }

  std::vector<std::string> list_;
  CountingListener listener_;
  StandaloneLoop standalone_;
};

TEST_F(ConcurrencyLimitTest, GivesSoManyPermitsAtOnceAndNoMore) {
  ConcurrencyLimit limit(2, 10);
  Permit first = limit.TryAcquire();
  Permit second = limit.TryAcquire();
  EXPECT_TRUE(first);
  EXPECT_TRUE(second);
  EXPECT_FALSE(limit.TryAcquire());
  first.Release();
  EXPECT_FALSE(first);
  Permit moved = std::move(second);
  EXPECT_FALSE(second);  // NOLINT(bugprone-use-after-move)
  Permit third = limit.TryAcquire();
  EXPECT_TRUE(third);
  EXPECT_FALSE(limit.TryAcquire());
  third = std::move(moved);  // lets the one go that it had
  EXPECT_TRUE(limit.TryAcquire());
}

TEST_F(ConcurrencyLimitTest, GivesTurnsInTheOrderOfAsking) {
  ConcurrencyLimit limit(1, 10);
  Permit held = limit.TryAcquire();
  for (const auto* name : {"first", "second", "third"}) loop().Spawn(Take(limit, name));
  EXPECT_TRUE(list_.empty());
  held.Release();
  RunUntilListed(3);
  EXPECT_THAT(list_, ElementsAre("first", "second", "third"));
  EXPECT_TRUE(limit.TryAcquire()) << "all have been given back";
}

TEST_F(ConcurrencyLimitTest, LetsNobodyOvertakeThoseWhoWait) {
  ConcurrencyLimit limit(1, 10);
  Permit held = limit.TryAcquire();
  loop().Spawn(Take(limit, "waits"));
  held.Release();  // given to the one that waits, who does not know yet
  EXPECT_FALSE(limit.TryAcquire());
  loop().Spawn(Take(limit, "came later"));
  RunUntilListed(2);
  EXPECT_THAT(list_, ElementsAre("waits", "came later"));
}

TEST_F(ConcurrencyLimitTest, RefusesWhenTooManyWait) {
  ConcurrencyLimit limit(1, 2);
  Permit held = limit.TryAcquire();
  for (const auto* name : {"first", "second", "third"}) loop().Spawn(Take(limit, name));
  EXPECT_THAT(list_, ElementsAre("third refused"));
  held.Release();
  RunUntilListed(3);
}

TEST_F(ConcurrencyLimitTest, TellsOneWhoseDeadlineComesFirst) {
  ConcurrencyLimit limit(1, 10);
  Permit held = limit.TryAcquire();
  loop().Spawn(Take(limit, "hurried", nullptr, Clock::now() + 20ms));
  loop().Spawn(Take(limit, "patient"));
  RunUntilListed(1);
  EXPECT_THAT(list_, ElementsAre("hurried late"));
  held.Release();
  RunUntilListed(2);
  EXPECT_EQ(list_.back(), "patient");
}

TEST_F(ConcurrencyLimitTest, ForgetsAWaiterThatIsCancelled) {
  ConcurrencyLimit limit(1, 1);
  Permit held = limit.TryAcquire();
  {
    Root root;
    root.Start(Take(limit, "cancelled"), listener_);
    loop().Spawn(Take(limit, "too many"));
  }
  loop().Spawn(Take(limit, "in its place"));
  held.Release();
  RunUntilListed(2);
  EXPECT_THAT(list_, ElementsAre("too many refused", "in its place"));
}

TEST_F(ConcurrencyLimitTest, HandsOnWhatACancelledWaiterWasGiven) {
  ConcurrencyLimit limit(1, 10);
  Permit held = limit.TryAcquire();
  auto first = std::make_unique<Root>();
  auto second = std::make_unique<Root>();
  first->Start(Take(limit, "first"), listener_);
  second->Start(Take(limit, "second"), listener_);
  loop().Spawn(Take(limit, "third"));
  held.Release();  // the first has it now, and learns of it when the loop runs
  first.reset();   // now the second
  second.reset();  // now the third
  RunUntilListed(1);
  EXPECT_THAT(list_, ElementsAre("third"));
  EXPECT_TRUE(limit.TryAcquire());
}

TEST_F(ConcurrencyLimitTest, TakesBackWhatACancelledWaiterWasGivenWhenNobodyWaits) {
  ConcurrencyLimit limit(1, 10);
  Permit held = limit.TryAcquire();
  {
    Root root;
    root.Start(Take(limit, "only"), listener_);
    held.Release();
  }
  EXPECT_TRUE(limit.TryAcquire());
}

TEST_F(ConcurrencyLimitTest, EndsTheTurnOfOneWhoIsCancelledWithinIt) {
  ConcurrencyLimit limit(1, 10);
  Pause pause;
  {
    Root root;
    root.Start(Take(limit, "holds", &pause), listener_);
    loop().Spawn(Take(limit, "waits"));
    EXPECT_THAT(list_, ElementsAre("holds"));
  }
  RunUntilListed(2);
  EXPECT_EQ(list_.back(), "waits");
}

/// Some turns after each other, now and then given up.
Task<void> Worker(ConcurrencyLimit& limit, Loop& loop, unsigned seed, int turns, std::atomic<int>& inside,
                  std::atomic<int>& most, std::atomic<int>& finished) {
  std::minstd_rand random(seed);
  for (int i = 0; i < turns; ++i) {
    const bool hurried = random() % 4 == 0;
    Deadline deadline = Deadline::max();
    if (hurried) deadline = Clock::now() + std::chrono::microseconds(random() % 300);
    const auto turn = co_await limit.Acquire(loop, deadline);
    if (!turn.permit) continue;
    const int now = ++inside;
    int seen = most;
    while (seen < now && !most.compare_exchange_weak(seen, now)) {
    }
    if (random() % 2 == 0) co_await Sleep(loop, std::chrono::microseconds(random() % 100));
    --inside;
  }
  ++finished;
}

TEST(ConcurrencyLimit, HoldsOverTwoLoopsOnTwoThreads) {
  constexpr int kWorkers = 40;
  constexpr int kTurns = support::kSanitized ? 30 : 150;
  ConcurrencyLimit limit(5, 1000);
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  std::atomic<int> finished{0};
  {
    LoopThread first;
    LoopThread second;
    for (LoopThread* thread : {&first, &second}) {
      thread->Do([&, thread] {
        for (unsigned i = 0; i < kWorkers; ++i) {
          thread->loop().Spawn(Worker(limit, thread->loop(), i, kTurns, inside, most, finished));
        }
      });
    }
    EXPECT_TRUE(
        support::Eventually([&finished] { return finished == 2 * kWorkers; }, 4 * support::kPatience));
  }
  EXPECT_EQ(inside, 0);
  EXPECT_LE(most, 5);
  std::vector<Permit> all;
  for (int i = 0; i < 5; ++i) {
    all.push_back(limit.TryAcquire());
    EXPECT_TRUE(all.back());
  }
}

TEST(ConcurrencyLimit, LosesNoTurnWhenALoopEndsWithItsWaiters) {
  ConcurrencyLimit limit(3, 1000);
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> finished{0};
    std::atomic<int> finished_or_not{0};
    LoopThread ending;
    LoopThread going_on;
    const auto spawn = [&](LoopThread& thread, std::atomic<int>& count) {
      thread.Do([&] {
        for (unsigned i = 0; i < 10; ++i) {
          thread.loop().Spawn(Worker(limit, thread.loop(), i, 5, inside, most, count));
        }
      });
    };
    spawn(ending, finished_or_not);
    spawn(going_on, finished);
    ending.Stop();
    EXPECT_TRUE(support::Eventually([&finished] { return finished == 10; }));
  }
  std::vector<Permit> all;
  for (int i = 0; i < 3; ++i) {
    all.push_back(limit.TryAcquire());
    EXPECT_TRUE(all.back()) << "turn " << i << " was lost";
  }
}

}  // namespace
}  // namespace obs::async
