#include "obs/async/loop.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>

#include "helpers.h"
#include "support/gate.h"
#include "support/socket.h"

namespace obs::async {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::ElementsAre;

class FunctionTimer : public Timer {
 public:
  explicit FunctionTimer(std::function<void()> function) : function_(std::move(function)) {}

 private:
  void OnTimer() override { function_(); }
  std::function<void()> function_;
};

class FunctionSource final : public Source {
 public:
  explicit FunctionSource(std::function<void(const Readiness&)> function) : function_(std::move(function)) {}
  void OnReady(const Readiness& ready) override { function_(ready); }

 private:
  std::function<void(const Readiness&)> function_;
};

class LoopTest : public testing::Test {
 protected:
  Loop& loop() { return standalone_.loop(); }
  FunctionTimer Note(const std::string& name) {
    return FunctionTimer([this, name] { list_.emplace_back(name); });
  }
  /// Runs until that many names are on the list.
  void RunUntilListed(std::size_t size) {
    standalone_.RunUntil([this, size] { return list_.size() >= size; });
  }

  std::vector<std::string> list_;
  StandaloneLoop standalone_;
  const Clock::time_point now_ = Clock::now();
};

TEST_F(LoopTest, CallsTimersInTheOrderOfTheirTimes) {
  FunctionTimer third = Note("third");
  FunctionTimer first = Note("first");
  FunctionTimer second = Note("second");
  third.Arm(loop(), now_ + 30ms);
  first.Arm(loop(), now_ + 10ms);
  second.Arm(loop(), now_ + 20ms);
  RunUntilListed(3);
  EXPECT_THAT(list_, ElementsAre("first", "second", "third"));
  EXPECT_EQ(loop().timers(), 0U);
}

TEST_F(LoopTest, CallsNoTimerBeforeItsTime) {
  FunctionTimer timer([this] {
    EXPECT_GE(Clock::now(), now_ + 20ms);
    list_.emplace_back("called");
  });
  timer.Arm(loop(), now_ + 20ms);
  RunUntilListed(1);
}

TEST_F(LoopTest, CallsATimerWhoseTimeHasPassed) {
  FunctionTimer timer = Note("past");
  timer.Arm(loop(), now_ - 1s);
  RunUntilListed(1);
}

TEST_F(LoopTest, TakesTheLatestTimeOfATimerThatIsArmedAgain) {
  FunctionTimer moved_back = Note("moved back");
  FunctionTimer moved_on = Note("moved on");
  FunctionTimer between = Note("between");
  moved_back.Arm(loop(), now_ + 1h);
  moved_on.Arm(loop(), now_ + 5ms);
  between.Arm(loop(), now_ + 20ms);
  moved_back.Arm(loop(), now_ + 10ms);
  moved_on.Arm(loop(), now_ + 30ms);
  EXPECT_EQ(loop().timers(), 3U);
  RunUntilListed(3);
  EXPECT_THAT(list_, ElementsAre("moved back", "between", "moved on"));
}

TEST_F(LoopTest, LetsATimerDisarmAndDestroyOthersThatAreDue) {
  FunctionTimer disarmed = Note("disarmed");
  auto destroyed = std::make_unique<FunctionTimer>([this] { list_.emplace_back("destroyed"); });
  FunctionTimer last = Note("last");
  FunctionTimer first([&] {
    disarmed.Disarm();
    destroyed.reset();
    list_.emplace_back("first");
  });
  first.Arm(loop(), now_ - 3ms);
  disarmed.Arm(loop(), now_ - 2ms);
  destroyed->Arm(loop(), now_ - 2ms);
  last.Arm(loop(), now_ - 1ms);
  RunUntilListed(2);
  EXPECT_THAT(list_, ElementsAre("first", "last"));
  EXPECT_FALSE(disarmed.armed());
}

TEST_F(LoopTest, LetsATimerArmItselfAndDestroyItself) {
  std::unique_ptr<FunctionTimer> timer;
  int calls = 0;
  timer = std::make_unique<FunctionTimer>([&] {
    list_.emplace_back("call");
    if (++calls < 3) {
      timer->Arm(loop(), Clock::now() + 1ms);
    } else {
      timer.reset();
    }
  });
  timer->Arm(loop(), now_);
  RunUntilListed(3);
  EXPECT_FALSE(timer);
  EXPECT_EQ(loop().timers(), 0U);
}

TEST_F(LoopTest, LetsATimerArmOneThatIsEarlierThanAllOthers) {
  FunctionTimer late = Note("late");
  FunctionTimer soon = Note("soon");
  FunctionTimer first([&] { soon.Arm(loop(), Clock::now() + 1ms); });
  first.Arm(loop(), now_);
  late.Arm(loop(), now_ + 50ms);
  RunUntilListed(2);
  EXPECT_THAT(list_, ElementsAre("soon", "late"));
}

TEST_F(LoopTest, KeepsItsOrderOverManyTimersThatComeAndGo) {
  std::minstd_rand random(1);
  std::vector<Clock::time_point> called;
  std::vector<std::unique_ptr<FunctionTimer>> timers;
  std::vector<Clock::time_point> times(1000);
  for (const Clock::time_point& time : times) {
    timers.emplace_back(std::make_unique<FunctionTimer>([&called, &time] { called.emplace_back(time); }));
  }
  for (int step = 0; step < 10'000; ++step) {
    const std::size_t i = random() % timers.size();
    if (random() % 3 == 0) {
      timers[i]->Disarm();
    } else {
      times[i] = now_ + std::chrono::microseconds(random() % 20'000);
      timers[i]->Arm(loop(), times[i]);
    }
  }
  const std::size_t armed = loop().timers();
  EXPECT_EQ(armed, static_cast<std::size_t>(std::count_if(timers.begin(), timers.end(),
                                                          [](const auto& timer) { return timer->armed(); })));
  standalone_.RunUntil([&] { return called.size() >= armed; });
  EXPECT_EQ(called.size(), armed);
  EXPECT_TRUE(std::is_sorted(called.begin(), called.end()));
}

TEST_F(LoopTest, TellsWhatBecamePossibleOnADescriptor) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC), 0);
  const support::Fd reader(ends[0]);
  support::Fd writer(ends[1]);
  FunctionSource source([this](const Readiness& ready) {
    if (ready.readable) list_.emplace_back("readable");
    if (ready.closed || ready.broken) list_.emplace_back("closed");
  });
  const Loop::Token token = loop().Watch(reader.get(), source);
  ASSERT_EQ(::write(writer.get(), "x", 1), 1);
  RunUntilListed(1);
  writer.Close();
  standalone_.RunUntil([this] { return list_.back() == "closed"; });
  EXPECT_EQ(list_.front(), "readable");
  loop().Forget(token);
}

TEST_F(LoopTest, TellsNobodyOfATokenThatIsForgotten) {
  FunctionSource first([this](const Readiness&) { list_.emplace_back("first"); });
  FunctionSource second([this](const Readiness&) { list_.emplace_back("second"); });
  const Loop::Token stale = loop().Add(first);
  loop().Forget(stale);
  const Loop::Token fresh = loop().Add(second);
  EXPECT_NE(stale, fresh);
  loop().Dispatch(stale, {});
  EXPECT_TRUE(list_.empty());
  loop().Dispatch(fresh, {});
  EXPECT_THAT(list_, ElementsAre("second"));
  loop().Dispatch(Loop::kTagBit | 1'000'000, {});  // never given
  loop().Forget(fresh);
}

TEST_F(LoopTest, NamesNoTwoSourcesAlikeThoughPlacesAreUsedAgain) {
  FunctionSource source([](const Readiness&) {});
  std::vector<Loop::Token> seen;
  for (int i = 0; i < 1000; ++i) {
    seen.emplace_back(loop().Add(source));
    loop().Forget(seen.back());
  }
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::adjacent_find(seen.begin(), seen.end()), seen.end());
}

TEST_F(LoopTest, RunsWorkPostedByOtherThreadsInTheirOrder) {
  constexpr int kThreads = 4;
  constexpr int kEach = 1000;
  std::map<int, std::vector<int>> order;
  int count = 0;
  const auto own = std::this_thread::get_id();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread, mailbox = loop().mailbox()] {
      for (int i = 0; i < kEach; ++i) {
        EXPECT_TRUE(mailbox->Post([&, thread, i] {
          EXPECT_EQ(std::this_thread::get_id(), own);
          order[thread].emplace_back(i);
          ++count;
        }));
      }
    });
  }
  standalone_.RunUntil([&count] { return count == kThreads * kEach; });
  for (auto& thread : threads) thread.join();
  for (const auto& [thread, numbers] : order)
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end())) << thread;
}

TEST_F(LoopTest, RunsWorkThatPostedWorkPosts) {
  loop().mailbox()->Post([this] {
    list_.emplace_back("outer");
    loop().mailbox()->Post([this] { list_.emplace_back("inner"); });
  });
  RunUntilListed(2);
  EXPECT_THAT(list_, ElementsAre("outer", "inner"));
}

TEST_F(LoopTest, StopDropsPostedWorkAndTakesNoMore) {
  const auto owned = std::make_shared<int>(0);
  const std::shared_ptr<Mailbox> mailbox = loop().mailbox();
  EXPECT_TRUE(mailbox->Post([this, owned] { list_.emplace_back("run"); }));
  loop().Stop();
  EXPECT_EQ(owned.use_count(), 1) << "what it owned is let go";
  EXPECT_FALSE(mailbox->Post([this, owned] { list_.emplace_back("run"); }));
  EXPECT_EQ(owned.use_count(), 1);
  EXPECT_TRUE(list_.empty());
}

TEST_F(LoopTest, StopDropsTheRestOfTheWorkWithWhichItCame) {
  loop().mailbox()->Post([this] {
    list_.emplace_back("before");
    loop().Stop();
  });
  loop().mailbox()->Post([this] { list_.emplace_back("after"); });
  RunUntilListed(1);
  EXPECT_THAT(list_, ElementsAre("before"));
}

Task<void> WaitForEver(Loop& loop, std::vector<std::string>& list, std::string name) {
  const Witness witness(list, std::move(name));
  co_await Sleep(loop, 1h);
}

TEST_F(LoopTest, StopRunsTheLatestOfItsDutiesFirstAndThenCancelsTheTasks) {
  loop().Spawn(WaitForEver(loop(), list_, "task"));
  loop().AtStop([this] { list_.emplace_back("given first"); });
  loop().AtStop([this] {
    list_.emplace_back("given last");
    EXPECT_EQ(loop().timers(), 1U) << "the loop can still be used";
  });
  loop().Stop();
  EXPECT_THAT(list_, ElementsAre("given last", "given first", "task"));
  EXPECT_EQ(loop().timers(), 0U);
  loop().Stop();
  EXPECT_EQ(list_.size(), 3U) << "once";
}

TEST_F(LoopTest, SpawnsNothingAfterItsStop) {
  loop().Stop();
  loop().Spawn(WaitForEver(loop(), list_, "task"));
  loop().Defer([this] { list_.emplace_back("deferred"); });
  loop().EndBatch();
  EXPECT_TRUE(list_.empty());
  EXPECT_EQ(loop().timers(), 0U);
}

TEST_F(LoopTest, LetsASpawnedTaskGoAtItsEnd) {
  std::atomic<int> alive{0};
  const auto work = [](Loop& loop, std::atomic<int>& count, bool wait) -> Task<void> {
    const support::Alive here(count);
    if (wait) co_await Sleep(loop, 1ms);
  };
  loop().Spawn(work(loop(), alive, false));
  EXPECT_EQ(alive, 0);
  for (int i = 0; i < 100; ++i) loop().Spawn(work(loop(), alive, true));
  EXPECT_EQ(alive, 100);
  standalone_.RunUntil([&alive] { return alive == 0; });
}

TEST_F(LoopTest, LetsASpawnedTaskSpawnAnother) {
  const auto inner = [](std::vector<std::string>& list) -> Task<void> {
    list.emplace_back("inner");
    co_return;
  };
  const auto outer = [](Loop& loop, std::vector<std::string>& list, auto make) -> Task<void> {
    co_await Sleep(loop, 1ms);
    loop.Spawn(make(list));
    list.emplace_back("outer");
  };
  loop().Spawn(outer(loop(), list_, inner));
  RunUntilListed(2);
  EXPECT_THAT(list_, ElementsAre("inner", "outer"));
}

TEST_F(LoopTest, RunsDeferredWorkAtTheEndOfTheBatch) {
  loop().mailbox()->Post([this] {
    loop().Defer([this] {
      list_.emplace_back("deferred");
      loop().Defer([this] { list_.emplace_back("deferred by that"); });
    });
    list_.emplace_back("batch");
  });
  RunUntilListed(3);
  EXPECT_THAT(list_, ElementsAre("batch", "deferred", "deferred by that"));
}

class NamedLocal : public Loop::Local {
 public:
  NamedLocal(std::vector<std::string>& list, std::string name) : witness_(list, std::move(name)) {}

 private:
  Witness witness_;
};

TEST_F(LoopTest, KeepsOneLocalForEachKeyUntilItsEnd) {
  const auto make = [this](Loop&) {
    list_.emplace_back("made");
    return std::make_unique<NamedLocal>(list_, "destroyed");
  };
  const std::uint64_t key = Loop::NewLocalKey();
  const std::uint64_t other = Loop::NewLocalKey();
  EXPECT_NE(key, other);
  Loop::Local& first = loop().LocalOf(key, make);
  EXPECT_EQ(&loop().LocalOf(key, make), &first);
  EXPECT_NE(&loop().LocalOf(other, make), &first);
  EXPECT_THAT(list_, ElementsAre("made", "made"));
  loop().Stop();
  EXPECT_THAT(list_, ElementsAre("made", "made", "destroyed", "destroyed"));
}

Task<void> SleepAndCount(Loop& loop, Clock::duration duration, int& count) {
  co_await Sleep(loop, duration);
  ++count;
}

TEST_F(LoopTest, LetsAThousandSleepsPassTogether) {
  int count = 0;
  FunctionTimer far_below_the_sum([&] { list_.emplace_back(std::to_string(count)); });
  far_below_the_sum.Arm(loop(), Clock::now() + 2500ms);  // one after the other they would take 5 s
  for (int i = 0; i < 1000; ++i) loop().Spawn(SleepAndCount(loop(), 5ms, count));
  EXPECT_EQ(loop().timers(), 1001U);
  standalone_.RunUntil([this, &count] { return count == 1000 || !list_.empty(); });
  EXPECT_EQ(count, 1000);
}

TEST_F(LoopTest, DoesNotWaitForNoTime) {
  int count = 0;
  loop().Spawn(SleepAndCount(loop(), 0ms, count));
  loop().Spawn(SleepAndCount(loop(), -5ms, count));
  EXPECT_EQ(count, 2);
}

TEST_F(LoopTest, LeavesNoTimerOfASleepThatIsCancelled) {
  int count = 0;
  CountingListener listener;
  {
    Root root;
    root.Start(SleepAndCount(loop(), 1h, count), listener);
    EXPECT_EQ(loop().timers(), 1U);
  }
  EXPECT_EQ(loop().timers(), 0U);
}

TEST(StandaloneLoop, GivesATasksResultOrThrowsItsException) {
  StandaloneLoop standalone;
  const auto give = [](Loop& loop) -> Task<std::string> {
    co_await Sleep(loop, 1ms);
    co_return "result";
  };
  const auto fail = [](Loop& loop) -> Task<void> {
    co_await Sleep(loop, 1ms);
    throw std::runtime_error("failed");
  };
  EXPECT_EQ(standalone.Run(give(standalone.loop())), "result");
  EXPECT_THROW(standalone.Run(fail(standalone.loop())), std::runtime_error);
}

}  // namespace
}  // namespace obs::async
