#include "obs/http/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace obs::http {
namespace {

TEST(WorkerPool, RunsTasksOnItsThreads) {
  WorkerPool pool(2, 100);
  std::atomic<int> ran = 0;
  std::promise<void> all;
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(pool.TryPush([&] {
      if (++ran == 50) all.set_value();
    }));
  }
  EXPECT_EQ(all.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

TEST(WorkerPool, RefusesAtOnceWhenEveryThreadIsBusyAndTheQueueIsFull) {
  WorkerPool pool(1, 2);
  std::promise<void> started;
  std::promise<void> release;
  auto released = release.get_future().share();
  ASSERT_TRUE(pool.TryPush([&started, released] {
    started.set_value();
    released.wait();
  }));
  started.get_future().wait();
  EXPECT_TRUE(pool.TryPush([] {}));
  EXPECT_TRUE(pool.TryPush([] {}));
  EXPECT_FALSE(pool.TryPush([] {}));
  EXPECT_EQ(pool.queue_length(), 2U);
  release.set_value();
}

TEST(WorkerPool, StopsAfterWhatRunsAndDiscardsWhatWaits) {
  WorkerPool pool(1, 2);
  std::promise<void> started;
  std::promise<void> release;
  std::atomic<bool> finished = false;
  std::atomic<bool> waited = false;
  auto released = release.get_future().share();
  pool.TryPush([&, released] {
    started.set_value();
    released.wait();
    finished = true;
  });
  started.get_future().wait();
  pool.TryPush([&] { waited = true; });
  auto stopped = std::async(std::launch::async, [&] { pool.Stop(); });
  while (pool.queue_length() > 0) std::this_thread::yield();
  release.set_value();
  stopped.wait();
  EXPECT_TRUE(finished);
  EXPECT_FALSE(waited);
  EXPECT_FALSE(pool.TryPush([] {}));
}

}  // namespace
}  // namespace obs::http
