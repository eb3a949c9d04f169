#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "obs/async/frame_memory.h"

namespace obs::async {

template <typename T>
class Task;

namespace internal {

struct PromiseBase : InFrameMemory {
  /// Who awaits goes on within the end of what it awaited, or, when that did not wait, behind its start. So
  /// the stack is as deep as coroutines await each other, however many end at once; a transfer from one to
  /// the other would be a call that never returns at -O0, -O1 and under sanitizers.
  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    void await_suspend(std::coroutine_handle<Promise> finished) const noexcept {
      const PromiseBase& promise = finished.promise();
      if (!promise.starting) promise.continuation.resume();  // this frame may be gone behind it
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { error = std::current_exception(); }

  std::coroutine_handle<> continuation = std::noop_coroutine();
  bool starting = false;
  std::exception_ptr error;
};

template <typename T>
struct Promise : PromiseBase {
  Task<T> get_return_object();
  template <typename Value>
  void return_value(Value&& result) {
    value.emplace(std::forward<Value>(result));
  }
  T Take() {
    if (error) std::rethrow_exception(error);
    return std::move(*value);
  }

  std::optional<T> value;
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() const noexcept {}
  void Take() const {
    if (error) std::rethrow_exception(error);
  }
};

}  // namespace internal

/// A coroutine that gives a T: `Task<Die> Get(…)` runs when it is awaited and resumes who awaits it. It owns
/// its frame. Destroying a Task that is suspended destroys all that it waits for, downwards: that is how a
/// request is cancelled. For one thread, the loop's.
///
/// The C++ Core Guidelines on coroutines hold (CP.51 to CP.53): a lambda with captures must outlive the
/// coroutine that it makes, no lock is held over a co_await, and a reference parameter must outlive the
/// frame. g++ 12 miscompiles two things besides: a brace-initialised temporary that owns memory as an
/// argument of co_await (give the type a constructor), and co_await in both branches of `?:` (use if).
template <typename T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = internal::Promise<T>;

  Task() = default;
  Task(Task&& other) noexcept : frame_(std::exchange(other.frame_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (frame_) frame_.destroy();
      frame_ = std::exchange(other.frame_, {});
    }
    return *this;
  }
  ~Task() {
    if (frame_) frame_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  /// False when it has ended without waiting.
  bool await_suspend(std::coroutine_handle<> awaiting) noexcept {
    promise_type& promise = frame_.promise();
    promise.continuation = awaiting;
    promise.starting = true;
    frame_.resume();
    promise.starting = false;
    return !frame_.done();
  }
  T await_resume() { return frame_.promise().Take(); }

  /// Whether it has run to its end by a return or an exception.
  bool done() const { return frame_.done(); }
  /// Whether it ended by an exception. After done().
  bool failed() const { return frame_.promise().error != nullptr; }

 private:
  friend promise_type;
  explicit Task(std::coroutine_handle<promise_type> frame) : frame_(frame) {}

  std::coroutine_handle<promise_type> frame_;
};

namespace internal {

template <typename T>
Task<T> Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}

inline Task<void> Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

}  // namespace internal

/// Owns one task that nothing awaits: a request, or background work. Destroying it cancels the task; that
/// must happen on the loop's thread and never from within the task itself.
class Root {
 public:
  /// Hears that the task has ended. The call may destroy the Root.
  class Listener {
   public:
    virtual void OnFinished() = 0;

   protected:
    ~Listener() = default;
  };

  Root() = default;
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;
  ~Root() { Cancel(); }

  /// Runs `task` until it first waits; `listener` may hear of its end before this returns. The task must
  /// not let an exception out: that ends the process.
  void Start(Task<void> task, Listener& listener) {
    listener_ = &listener;
    Frame frame = Run(*this, std::move(task));
    frame_ = frame.handle;
    frame_.resume();
  }
  /// Destroys the task, and with it everything that it waits for. The listener hears nothing.
  void Cancel() {
    if (frame_) std::exchange(frame_, {}).destroy();
  }
  bool running() const { return static_cast<bool>(frame_); }

 private:
  struct Frame {
    struct promise_type : InFrameMemory {
      promise_type(Root& root_, const Task<void>& /*task*/) : root(root_) {}
      struct FinalAwaiter {
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<promise_type> finished) const noexcept {
          Root& owner = finished.promise().root;
          Listener& told = *owner.listener_;
          owner.frame_ = {};
          finished.destroy();  // and `this` with it
          told.OnFinished();
        }
        void await_resume() const noexcept {}
      };
      Frame get_return_object() { return Frame{std::coroutine_handle<promise_type>::from_promise(*this)}; }
      std::suspend_always initial_suspend() const noexcept { return {}; }
      FinalAwaiter final_suspend() const noexcept { return {}; }
      void return_void() const noexcept {}
      [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }

      Root& root;
    };
    std::coroutine_handle<promise_type> handle;
  };

  static Frame Run(Root& /*root*/, Task<void> task) { co_await task; }

  std::coroutine_handle<Frame::promise_type> frame_;
  Listener* listener_ = nullptr;
};

}  // namespace obs::async
