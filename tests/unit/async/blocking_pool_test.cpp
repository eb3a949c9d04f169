#include "obs/async/blocking_pool.h"

#include <gmock/gmock.h>

#include <future>
#include <optional>
#include <string>
#include <thread>

#include "obs/async/all.h"
#include "obs/async/run.h"
#include "support/eventually.h"

namespace obs::async {
namespace {

using support::Eventually;
using support::operator""ms;
using support::operator""s;

/// Work that a thread does until the test lets it end.
struct Held {
  std::promise<void> begun;
  std::promise<void> end;

  std::function<std::string(std::stop_token)> Work() {
    return [this](const std::stop_token&) {
      begun.set_value();
      end.get_future().wait();
      return std::string("held");
    };
  }
};

std::function<std::string(std::stop_token)> Say(const std::string& word) {
  return [word](const std::stop_token&) { return word; };
}

/// What work gives, or why it did not run.
Task<std::string> Result(BlockingPool& pool, Loop& loop, std::function<std::string(std::stop_token)> work,
                         Deadline start_by = Deadline::max()) {
  try {
    co_return co_await pool.Run(loop, std::move(work), start_by);
  } catch (const BlockingPool::NotRun& not_run) {
    co_return not_run.refusal == BlockingPool::Refusal::kQueueFull ? "refused" : "late";
  }
}

Task<void> Keep(Task<std::string> task, std::string& result) { result = co_await task; }

TEST(BlockingPool, GivesWhatWorkReturnsOrThrows) {
  BlockingPool pool(2, 10);
  StandaloneLoop loop;
  EXPECT_EQ(loop.Run(Result(pool, loop.loop(), Say("done"))), "done");
  std::function<int(std::stop_token)> fails = [](const std::stop_token&) -> int {
    throw std::runtime_error("no");
  };
  EXPECT_THROW(loop.Run(pool.Run(loop.loop(), std::move(fails), Deadline::max())), std::runtime_error);
}

TEST(BlockingPool, RefusesWhatItsQueueHasNoRoomFor) {
  BlockingPool pool(1, 1);
  StandaloneLoop loop;
  Held held;
  std::string first, second;
  loop.loop().Spawn(Keep(Result(pool, loop.loop(), held.Work()), first));
  held.begun.get_future().wait();
  loop.loop().Spawn(Keep(Result(pool, loop.loop(), Say("second")), second));
  EXPECT_EQ(loop.Run(Result(pool, loop.loop(), Say("third"))), "refused");
  EXPECT_EQ(pool.queue_length(), 1u);
  held.end.set_value();
  loop.RunUntil([&] { return !first.empty() && !second.empty(); });
  EXPECT_EQ(first, "held");
  EXPECT_EQ(second, "second");
}

TEST(BlockingPool, DoesNotStartWhatIsLate) {
  BlockingPool pool(1, 10);
  StandaloneLoop loop;
  Held held;
  std::string first;
  loop.loop().Spawn(Keep(Result(pool, loop.loop(), held.Work()), first));
  held.begun.get_future().wait();
  EXPECT_EQ(loop.Run(Result(pool, loop.loop(), Say("second"), Clock::now() + 20ms)), "late");
  EXPECT_EQ(pool.queue_length(), 0u);
  held.end.set_value();
  loop.RunUntil([&] { return !first.empty(); });
}

TEST(BlockingPool, TellsWhatWaitsThatItStops) {
  std::optional<BlockingPool> pool(std::in_place, 1, 10);
  StandaloneLoop loop;
  Held held;
  std::string first, second, third;
  loop.loop().Spawn(Keep(Result(*pool, loop.loop(), held.Work()), first));
  held.begun.get_future().wait();
  loop.loop().Spawn(Keep(Result(*pool, loop.loop(), Say("second")), second));
  loop.loop().Spawn(Keep(Result(*pool, loop.loop(), Say("third"), Clock::now() + 60s), third));
  std::thread stop([&pool] { pool->Stop(); });
  EXPECT_TRUE(Eventually([&pool] { return pool->queue_length() == 0; }));
  held.end.set_value();
  stop.join();
  loop.RunUntil([&] { return !first.empty() && !second.empty() && !third.empty(); });
  EXPECT_EQ(first, "held");
  EXPECT_EQ(second, "refused");
  EXPECT_EQ(third, "refused");
  EXPECT_EQ(loop.Run(Result(*pool, loop.loop(), Say("later"))), "refused");
}

TEST(BlockingPool, TakesWhatIsCancelledOutOfTheQueue) {
  BlockingPool pool(1, 10);
  StandaloneLoop loop;
  Held held;
  std::string first, second;
  loop.loop().Spawn(Keep(Result(pool, loop.loop(), held.Work()), first));
  held.begun.get_future().wait();
  {
    class Listener final : public Root::Listener {
      void OnFinished() override {}
    } listener;
    Root root;
    root.Start(Keep(Result(pool, loop.loop(), Say("second")), second), listener);
    EXPECT_EQ(pool.queue_length(), 1u);
  }
  EXPECT_EQ(pool.queue_length(), 0u);
  held.end.set_value();
  loop.RunUntil([&] { return !first.empty(); });
  EXPECT_EQ(second, "");
}

TEST(BlockingPool, AsksWhatRunsAndIsCancelledToStop) {
  BlockingPool pool(1, 10);
  StandaloneLoop loop;
  std::promise<void> begun;
  std::promise<void> asked;
  std::string result;
  {
    class Listener final : public Root::Listener {
      void OnFinished() override {}
    } listener;
    Root root;
    root.Start(Keep(Result(pool, loop.loop(),
                           [&](const std::stop_token& stop) {
                             const std::stop_callback on_stop(stop, [&asked] { asked.set_value(); });
                             begun.set_value();
                             asked.get_future().wait();
                             return std::string("stopped");
                           }),
                    result),
               listener);
    begun.get_future().wait();
  }
  EXPECT_EQ(loop.Run(Result(pool, loop.loop(), Say("next"))), "next");
  EXPECT_EQ(result, "") << "the coroutine is gone";
}

}  // namespace
}  // namespace obs::async
