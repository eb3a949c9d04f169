#include "obs/async/task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "helpers.h"

namespace obs::async {
namespace {

using testing::ElementsAre;

Task<int> Immediate(int value) { co_return value; }

Task<int> Failing(const char* words) {
  throw std::runtime_error(words);
  co_return 0;
}

Task<void> Keep(Task<int> task, std::vector<std::string>& list) {
  try {
    list.push_back("value " + std::to_string(co_await task));
  } catch (const std::exception& exception) {
    list.push_back(std::string("exception ") + exception.what());
  }
}

TEST(Task, RunsWhenItIsAwaitedAndNotBefore) {
  bool ran = false;
  const auto run = [](bool& flag) -> Task<void> {
    flag = true;
    co_return;
  };
  const auto await = [](Task<void> task) -> Task<void> { co_await task; };
  Task<void> task = run(ran);
  EXPECT_FALSE(ran);
  CountingListener listener;
  Root root;
  root.Start(await(std::move(task)), listener);
  EXPECT_TRUE(ran);
  EXPECT_EQ(listener.finished, 1);
}

TEST(Task, GivesItsResultOrThrowsItsException) {
  std::vector<std::string> list;
  CountingListener listener;
  Root root;
  root.Start(Keep(Immediate(5), list), listener);
  root.Start(Keep(Failing("no luck"), list), listener);
  EXPECT_THAT(list, ElementsAre("value 5", "exception no luck"));
  EXPECT_EQ(listener.finished, 2);
}

TEST(Task, ResumesWhoAwaitsItWhenItsOwnWaitIsOver) {
  std::vector<std::string> list;
  Pause pause;
  const auto wait = [](Pause& until) -> Task<int> {
    co_await until;
    co_return 7;
  };
  CountingListener listener;
  Root root;
  root.Start(Keep(wait(pause), list), listener);
  EXPECT_TRUE(root.running());
  EXPECT_TRUE(list.empty());
  pause.End();
  EXPECT_FALSE(root.running());
  EXPECT_THAT(list, ElementsAre("value 7"));
}

TEST(Task, GivesWhatCanOnlyBeMoved) {
  const auto make = []() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(3); };
  StandaloneLoop standalone;
  EXPECT_EQ(*standalone.Run(make()), 3);
}

TEST(Task, KeepsAnExceptionThatComesAfterAWait) {
  std::vector<std::string> list;
  Pause pause;
  const auto wait = [](Pause& until) -> Task<int> {
    co_await until;
    throw std::runtime_error("late");
  };
  CountingListener listener;
  Root root;
  root.Start(Keep(wait(pause), list), listener);
  pause.End();
  EXPECT_THAT(list, ElementsAre("exception late"));
}

Task<void> Nested(int depth, Pause& pause, std::vector<std::string>& list) {
  const Witness witness(list, std::to_string(depth));
  if (depth == 0) {
    co_await pause;
  } else {
    co_await Nested(depth - 1, pause, list);
  }
}

TEST(Task, DestroysWhatItAwaitsFromTheInnermostOut) {
  std::vector<std::string> list;
  Pause pause;
  CountingListener listener;
  {
    Root root;
    root.Start(Nested(3, pause, list), listener);
    EXPECT_TRUE(list.empty());
  }
  EXPECT_THAT(list, ElementsAre("0", "1", "2", "3"));
  EXPECT_EQ(listener.finished, 0);
}

TEST(Task, DestroysItsArgumentsWhenItNeverRuns) {
  const auto kept = std::make_shared<int>(0);
  const auto take = [](std::shared_ptr<int> value) -> Task<int> { co_return *value; };
  {
    const Task<int> task = take(kept);
    EXPECT_EQ(kept.use_count(), 2);
  }
  EXPECT_EQ(kept.use_count(), 1);
}

TEST(Task, IsMovedWithItsFrame) {
  std::vector<std::string> list;
  const auto take = [](const Witness& /*witness*/) -> Task<int> { co_return 1; };
  const Witness witness(list, "argument");
  Task<int> first = take(witness);
  Task<int> second = std::move(first);
  first = Immediate(2);
  first = std::move(second);
  StandaloneLoop standalone;
  EXPECT_EQ(standalone.Run(std::move(first)), 1);
}

/// The frames that run at once are only those that await each other, however many have ended: without care
/// each would leave its part of the stack behind, where calls between coroutines are no tail calls (g++ 12
/// at -O0 and -O1, and under sanitizers).
TEST(Task, BoundsTheStackOfAMillionAwaitsThatEndAtOnce) {
  const auto sum = []() -> Task<long> {
    long total = 0;
    for (int i = 0; i < 1'000'000; ++i) total += co_await Immediate(1);
    co_return total;
  };
  StandaloneLoop standalone;
  EXPECT_EQ(standalone.Run(sum()), 1'000'000);
}

TEST(Task, BoundsTheStackOfManyAwaitsThatFailAtOnce) {
  const auto count = []() -> Task<int> {
    int failed = 0;
    for (int i = 0; i < 20'000; ++i) {
      try {
        co_await Failing("again");
      } catch (const std::runtime_error&) {
        ++failed;
      }
    }
    co_return failed;
  };
  StandaloneLoop standalone;
  EXPECT_EQ(standalone.Run(count()), 20'000);
}

TEST(Task, BoundsTheStackOfManyAwaitsAfterAWait) {
  Pause pause;
  const auto sum = [](Pause& until) -> Task<int> {
    co_await until;
    int total = 0;
    for (int i = 0; i < 1'000'000; ++i) total += co_await Immediate(1);
    co_return total;
  };
  std::vector<std::string> list;
  CountingListener listener;
  Root root;
  root.Start(Keep(sum(pause), list), listener);
  pause.End();
  EXPECT_THAT(list, ElementsAre("value 1000000"));
}

Task<int> Chain(int depth, Pause& pause) {
  if (depth > 0) co_return 1 + co_await Chain(depth - 1, pause);
  co_await pause;
  co_return 0;
}

TEST(Task, ReturnsThroughAChainOfAThousand) {
  std::vector<std::string> list;
  Pause pause;
  CountingListener listener;
  Root root;
  root.Start(Keep(Chain(1000, pause), list), listener);
  pause.End();
  EXPECT_THAT(list, ElementsAre("value 1000"));
}

/// Counts how often it is made and destroyed; owns memory, as what g++ 12 destroys twice does.
struct Counted {
  explicit Counted(int& balance_) : balance(balance_), text(100, 'x') { ++balance; }
  Counted(const Counted& other) : balance(other.balance), text(other.text) { ++balance; }
  Counted(Counted&& other) noexcept : balance(other.balance), text(std::move(other.text)) { ++balance; }
  ~Counted() { --balance; }
  Counted& operator=(const Counted&) = delete;
  Counted& operator=(Counted&&) = delete;
  int& balance;
  std::string text;
};

Task<std::size_t> SizeOf(Counted counted, Counted other) {
  co_return counted.text.size() + other.text.size();
}

TEST(Task, DestroysTemporaryArgumentsOfAnAwaitOnce) {
  int balance = 0;
  const auto use = [](int& count) -> Task<std::size_t> {
    const std::size_t one = co_await SizeOf(Counted(count), Counted(count));
    Counted kept(count);
    const std::size_t two = co_await SizeOf(std::move(kept), Counted(count));
    co_return one + two;
  };
  StandaloneLoop standalone;
  EXPECT_EQ(standalone.Run(use(balance)), 400U);
  EXPECT_EQ(balance, 0);
}

TEST(Root, CancelDestroysTheTaskAndTellsNobody) {
  std::vector<std::string> list;
  Pause pause;
  CountingListener listener;
  Root root;
  root.Start(Nested(1, pause, list), listener);
  root.Cancel();
  EXPECT_FALSE(root.running());
  EXPECT_THAT(list, ElementsAre("0", "1"));
  EXPECT_EQ(listener.finished, 0);
  root.Cancel();
  EXPECT_EQ(list.size(), 2U);
}

TEST(Root, CanBeUsedAgain) {
  std::vector<std::string> list;
  Pause pause;
  CountingListener listener;
  Root root;
  root.Start(Nested(0, pause, list), listener);
  root.Cancel();
  root.Start(Nested(0, pause, list), listener);
  pause.End();
  EXPECT_EQ(listener.finished, 1);
  EXPECT_EQ(list.size(), 2U);
}

/// As an exchange is: its end destroys it, and the root with it.
class Owner final : public Root::Listener {
 public:
  explicit Owner(std::unique_ptr<Owner>& place) : place_(place) {}
  void Start(Task<void> task) { root_.Start(std::move(task), *this); }
  void OnFinished() override { place_.reset(); }

 private:
  std::unique_ptr<Owner>& place_;
  Root root_;
};

TEST(Root, MayBeDestroyedByWhoHearsOfTheEnd) {
  std::vector<std::string> list;
  Pause pause;
  std::unique_ptr<Owner> owner;
  owner = std::make_unique<Owner>(owner);
  owner->Start(Nested(2, pause, list));
  ASSERT_TRUE(owner);
  pause.End();
  EXPECT_FALSE(owner);
  EXPECT_THAT(list, ElementsAre("0", "1", "2"));
}

TEST(Root, MayBeDestroyedByAnEndThatComesAtOnce) {
  std::unique_ptr<Owner> owner;
  owner = std::make_unique<Owner>(owner);
  const auto nothing = []() -> Task<void> { co_return; };
  owner->Start(nothing());
  EXPECT_FALSE(owner);
}

}  // namespace
}  // namespace obs::async
