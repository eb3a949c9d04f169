#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "obs/async/loop.h"
#include "obs/async/wake_up.h"

namespace support {

/// Holds coroutines, on whatever loop they run, until the test opens it. Thread-safe.
class Gate {
 public:
  obs::async::Task<void> Pass(obs::async::Loop& loop) {
    obs::async::WakeUp opened(loop);
    {
      const std::lock_guard lock(mutex_);
      if (open_) co_return;
      waiting_.push_back({loop.mailbox(), &loop, opened.token()});
    }
    co_await opened;
  }

  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    for (const Waiter& waiter : waiting_) obs::async::Loop::Wake(waiter.mailbox, waiter.loop, waiter.token);
    waiting_.clear();
  }

 private:
  struct Waiter {
    std::shared_ptr<obs::async::Mailbox> mailbox;
    obs::async::Loop* loop;
    obs::async::Loop::Token token;
  };
  std::mutex mutex_;
  bool open_ = false;
  std::vector<Waiter> waiting_;
};

/// Counts while it lives: a coroutine that keeps one shows whether its frame is still there.
class Alive {
 public:
  explicit Alive(std::atomic<int>& count) : count_(count) { ++count_; }
  ~Alive() { --count_; }
  Alive(const Alive&) = delete;
  Alive& operator=(const Alive&) = delete;

 private:
  std::atomic<int>& count_;
};

}  // namespace support
