#pragma once

#include <coroutine>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "obs/async/loop.h"
#include "obs/async/task.h"

namespace obs::async {

/// Waits until another thread wakes its token by Loop::Wake(), or a deadline passes. Once.
class WakeUp final : private Source, private Timer {
 public:
  explicit WakeUp(Loop& loop, Deadline deadline = Deadline::max())
      : loop_(loop), deadline_(deadline), token_(loop.Add(*this)) {}
  ~WakeUp() override { loop_.Forget(token_); }
  WakeUp(const WakeUp&) = delete;
  WakeUp& operator=(const WakeUp&) = delete;

  Loop::Token token() const { return token_; }

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> awaiting) {
    awaiting_ = awaiting;
    if (deadline_ != Deadline::max()) Arm(loop_, deadline_);
  }
  /// False when the deadline came first.
  bool await_resume() const noexcept { return !late_; }

 private:
  void OnReady(const Readiness& /*ready*/) override { Resume(); }
  void OnTimer() override {
    late_ = true;
    Resume();
  }
  void Resume() {
    Disarm();
    if (awaiting_) std::exchange(awaiting_, {}).resume();
  }

  Loop& loop_;
  const Deadline deadline_;
  const Loop::Token token_;
  std::coroutine_handle<> awaiting_;
  bool late_ = false;
};

namespace internal {

/// Wakes its token when it is destroyed.
class WakeAtEnd {
 public:
  WakeAtEnd(Loop& loop, Loop::Token token) : mailbox_(loop.mailbox()), loop_(&loop), token_(token) {}
  ~WakeAtEnd() { Loop::Wake(mailbox_, loop_, token_); }
  WakeAtEnd(const WakeAtEnd&) = delete;
  WakeAtEnd& operator=(const WakeAtEnd&) = delete;

 private:
  const std::shared_ptr<Mailbox> mailbox_;
  Loop* const loop_;
  const Loop::Token token_;
};

}  // namespace internal

/// Runs `work` on the thread of `there` and gives its result on that of `here`; nothing when `there` has
/// stopped. `work` must own what it uses, but for what belongs to `there`.
template <typename Result>
Task<std::optional<Result>> RunOn(Loop& here, Loop& there, std::function<Result()> work) {
  if (&here == &there) co_return std::optional<Result>(work());
  auto result = std::make_shared<std::optional<Result>>();
  WakeUp wake_up(here);
  // Work that a stopping loop drops wakes as well.
  auto end = std::make_shared<internal::WakeAtEnd>(here, wake_up.token());
  const bool posted = there.mailbox()->Post([result, work = std::move(work), end = std::move(end)]() mutable {
    result->emplace(work());
    end.reset();
  });
  if (posted) co_await wake_up;
  co_return std::move(*result);
}

}  // namespace obs::async
