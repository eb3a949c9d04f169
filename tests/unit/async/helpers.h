#pragma once

#include <atomic>
#include <coroutine>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "obs/async/loop.h"
#include "obs/async/run.h"
#include "obs/async/task.h"

namespace obs::async {

/// What a coroutine awaits until the test lets it go on.
class Pause {
 public:
  Pause() = default;
  ~Pause() { awaiting_ = {}; }
  Pause(const Pause&) = delete;
  Pause& operator=(const Pause&) = delete;

  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> awaiting) { awaiting_ = awaiting; }
  void await_resume() const {}

  void End() { std::exchange(awaiting_, {}).resume(); }

 private:
  std::coroutine_handle<> awaiting_;
};

/// Writes its name into a list when it is destroyed.
class Witness {
 public:
  Witness(std::vector<std::string>& list, std::string name) : list_(list), name_(std::move(name)) {}
  ~Witness() { list_.push_back(name_); }
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;

 private:
  std::vector<std::string>& list_;
  const std::string name_;
};

/// Counts the ends that a Root tells of.
class CountingListener final : public Root::Listener {
 public:
  void OnFinished() override { ++finished; }
  int finished = 0;
};

/// A loop on a thread of its own.
class LoopThread {
 public:
  LoopThread() {
    std::promise<Loop*> ready;
    thread_ = std::thread([this, &ready] {
      StandaloneLoop standalone;
      ready.set_value(&standalone.loop());
      standalone.RunUntil([this] { return stop_; });
    });
    loop_ = ready.get_future().get();
    mailbox_ = loop_->mailbox();
  }
  ~LoopThread() { Stop(); }
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  Loop& loop() { return *loop_; }
  const std::shared_ptr<Mailbox>& mailbox() const { return mailbox_; }
  std::thread::id id() const { return thread_.get_id(); }
  /// Runs `work` on the thread and waits for its end.
  void Do(const std::function<void()>& work) {
    std::promise<void> done;
    mailbox_->Post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  /// Ends the loop and its thread.
  void Stop() {
    if (!thread_.joinable()) return;
    mailbox_->Post([this] { stop_ = true; });
    thread_.join();
  }

 private:
  bool stop_ = false;  ///< for the thread
  Loop* loop_ = nullptr;
  std::shared_ptr<Mailbox> mailbox_;
  std::thread thread_;
};

}  // namespace obs::async
