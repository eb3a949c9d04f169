#include "obs/async/all.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <stdexcept>

#include "helpers.h"

namespace obs::async {
namespace {

using testing::ElementsAre;

Task<int> Immediate(int value) { co_return value; }

Task<int> Failing(std::string words) {
  throw std::runtime_error(words);
  co_return 0;
}

Task<int> After(Pause& pause, int value, std::vector<std::string>& list) {
  const Witness witness(list, "end of " + std::to_string(value));
  list.push_back("begin of " + std::to_string(value));
  co_await pause;
  co_return value;
}

Task<int> FailAfter(Pause& pause, std::string words) {
  co_await pause;
  throw std::runtime_error(words);
}

/// What came of a group: its results joined, or the words of its exception.
Task<void> Keep(std::vector<Task<int>> tasks, std::string& outcome) {
  try {
    All<int> all(std::move(tasks));
    for (const int result : co_await all) outcome += std::to_string(result) + " ";
    outcome += "done";
  } catch (const std::exception& exception) {
    outcome = exception.what();
  }
}

template <typename... Tasks>
std::vector<Task<int>> Group(Tasks... tasks) {
  std::vector<Task<int>> group;
  (group.push_back(std::move(tasks)), ...);
  return group;
}

class AllTest : public testing::Test {
 protected:
  void Start(std::vector<Task<int>> tasks) { root_.Start(Keep(std::move(tasks), outcome_), listener_); }

  std::deque<Pause> pauses_{4};
  std::vector<std::string> list_;
  std::string outcome_;
  CountingListener listener_;
  Root root_;
};

TEST_F(AllTest, GivesResultsInTheOrderOfTheTasks) {
  Start(Group(After(pauses_[0], 1, list_), Immediate(2), After(pauses_[2], 3, list_)));
  EXPECT_THAT(list_, ElementsAre("begin of 1", "begin of 3")) << "all run together";
  pauses_[2].End();
  EXPECT_EQ(outcome_, "");
  pauses_[0].End();
  EXPECT_EQ(outcome_, "1 2 3 done");
  EXPECT_EQ(listener_.finished, 1);
}

TEST_F(AllTest, EndsAtOnceWhenAllTasksDo) {
  Start(Group(Immediate(1), Immediate(2)));
  EXPECT_EQ(outcome_, "1 2 done");
}

TEST_F(AllTest, GivesNothingOfNoTasks) {
  Start({});
  EXPECT_EQ(outcome_, "done");
}

TEST_F(AllTest, TheFirstFailureCancelsTheOthersAndIsThrown) {
  Start(Group(After(pauses_[0], 1, list_), FailAfter(pauses_[1], "first"), FailAfter(pauses_[2], "second"),
              After(pauses_[3], 4, list_)));
  list_.clear();
  pauses_[1].End();
  EXPECT_EQ(outcome_, "first");
  EXPECT_THAT(list_, testing::UnorderedElementsAre("end of 1", "end of 4"));
  EXPECT_EQ(listener_.finished, 1);
}

TEST_F(AllTest, KeepsResultsOutOfTheWayOfALaterFailure) {
  Start(Group(Immediate(1), FailAfter(pauses_[1], "late")));
  pauses_[1].End();
  EXPECT_EQ(outcome_, "late");
}

TEST_F(AllTest, AFailureAtTheStartCancelsWhatRunsAndStartsNoMore) {
  Start(Group(After(pauses_[0], 1, list_), Failing("at once"), After(pauses_[2], 3, list_)));
  EXPECT_EQ(outcome_, "at once");
  EXPECT_THAT(list_, ElementsAre("begin of 1", "end of 1"));
}

TEST_F(AllTest, ItsEndCancelsAllThatItAwaits) {
  Start(Group(After(pauses_[0], 1, list_), After(pauses_[1], 2, list_)));
  list_.clear();
  root_.Cancel();
  EXPECT_THAT(list_, testing::UnorderedElementsAre("end of 1", "end of 2"));
  EXPECT_EQ(outcome_, "");
}

Task<int> Sum(std::vector<Task<int>> tasks) {
  All<int> all(std::move(tasks));
  int sum = 0;
  for (const int result : co_await all) sum += result;
  co_return sum;
}

TEST_F(AllTest, MayBeNested) {
  Start(Group(Sum(Group(After(pauses_[0], 1, list_), After(pauses_[1], 2, list_))), Immediate(10),
              Sum(Group(After(pauses_[2], 4, list_), Immediate(8)))));
  pauses_[2].End();
  pauses_[0].End();
  pauses_[1].End();
  EXPECT_EQ(outcome_, "3 10 12 done");
}

TEST_F(AllTest, AFailureWithinANestedGroupCancelsTheWhole) {
  Start(Group(Sum(Group(After(pauses_[0], 1, list_), FailAfter(pauses_[1], "deep"))),
              After(pauses_[2], 3, list_)));
  list_.clear();
  pauses_[1].End();
  EXPECT_EQ(outcome_, "deep");
  EXPECT_THAT(list_, testing::UnorderedElementsAre("end of 1", "end of 3"));
}

TEST(All, AwaitsTasksWithoutAResult) {
  int count = 0;
  const auto step = [](Loop& loop, int& counter) -> Task<void> {
    co_await Sleep(loop, std::chrono::milliseconds(1));
    ++counter;
  };
  StandaloneLoop standalone;
  std::vector<Task<void>> tasks;
  for (int i = 0; i < 10; ++i) tasks.push_back(step(standalone.loop(), count));
  const auto run = [](std::vector<Task<void>> group) -> Task<void> {
    All<void> all(std::move(group));
    co_await all;
  };
  standalone.Run(run(std::move(tasks)));
  EXPECT_EQ(count, 10);
}

TEST(All, GivesWhatCanOnlyBeMoved) {
  const auto make = [](int value) -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(value); };
  const auto run = [](std::vector<Task<std::unique_ptr<int>>> group) -> Task<int> {
    All<std::unique_ptr<int>> all(std::move(group));
    const auto results = co_await all;
    co_return *results[0] * 10 + *results[1];
  };
  StandaloneLoop standalone;
  std::vector<Task<std::unique_ptr<int>>> tasks;
  tasks.push_back(make(1));
  tasks.push_back(make(2));
  EXPECT_EQ(standalone.Run(run(std::move(tasks))), 12);
}

TEST(All, BoundsTheStackOfManyTasksThatEndAtOnce) {
  std::vector<Task<int>> tasks;
  for (int i = 0; i < 100'000; ++i) tasks.push_back(Immediate(1));
  StandaloneLoop standalone;
  EXPECT_EQ(standalone.Run(Sum(std::move(tasks))), 100'000);
}

}  // namespace
}  // namespace obs::async
