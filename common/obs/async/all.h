#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <type_traits>
#include <utility>
#include <vector>

#include "obs/async/task.h"

namespace obs::async {

/// Awaits several tasks at once, on the awaiting thread: `co_await All(std::move(tasks))` gives their results
/// in their order, nothing for Task<void>. The first that fails cancels the others, and its exception is
/// thrown.
template <typename T>
class All {
 public:
  explicit All(std::vector<Task<T>> tasks) : tasks_(std::move(tasks)) {}
  All(const All&) = delete;
  All& operator=(const All&) = delete;

  bool await_ready() const noexcept { return tasks_.empty(); }

  bool await_suspend(std::coroutine_handle<> awaiting) {
    awaiting_ = awaiting;
    left_ = tasks_.size();
    children_.reserve(tasks_.size());
    for (Task<T>& task : tasks_) {
      children_.push_back(Child::Run(*this, task));
      children_.back().frame.resume();
      if (failed_ != nullptr) break;
    }
    starting_ = false;
    return failed_ == nullptr && left_ > 0;
  }

  auto await_resume() {
    if (failed_ != nullptr) failed_->await_resume();  // throws
    if constexpr (!std::is_void_v<T>) {
      std::vector<T> results;
      results.reserve(tasks_.size());
      for (Task<T>& task : tasks_) results.push_back(task.await_resume());
      return results;
    }
  }

 private:
  /// Awaits one task without taking its result, and then tells the whole.
  struct Child {
    struct promise_type : InFrameMemory {
      promise_type(All& all_, Task<T>& task_) : all(all_), task(task_) {}
      struct FinalAwaiter {
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<promise_type> finished) const noexcept {
          promise_type& promise = finished.promise();
          promise.all.Finished(promise.task);  // this frame may be gone behind it
        }
        void await_resume() const noexcept {}
      };
      Child get_return_object() { return Child(std::coroutine_handle<promise_type>::from_promise(*this)); }
      std::suspend_always initial_suspend() const noexcept { return {}; }
      FinalAwaiter final_suspend() const noexcept { return {}; }
      void return_void() const noexcept {}
      [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }

      All& all;
      Task<T>& task;
    };
    struct Completion {
      Task<T>& task;
      bool await_ready() const noexcept { return false; }
      bool await_suspend(std::coroutine_handle<> awaiting) noexcept { return task.await_suspend(awaiting); }
      void await_resume() const noexcept {}
    };

    explicit Child(std::coroutine_handle<promise_type> frame_) : frame(frame_) {}
    Child(Child&& other) noexcept : frame(std::exchange(other.frame, {})) {}
    Child& operator=(Child&&) = delete;
    ~Child() {
      if (frame) frame.destroy();
    }
    static Child Run(All& /*all*/, Task<T>& task) {
      Completion completion{task};
      co_await completion;
    }

    std::coroutine_handle<promise_type> frame;
  };

  void Finished(Task<T>& task) noexcept {
    --left_;
    const bool first_failure = failed_ == nullptr && task.failed();
    if (first_failure) failed_ = &task;
    const bool over = first_failure || (failed_ == nullptr && left_ == 0);
    if (over && !starting_) awaiting_.resume();
  }

  // In this order: the children, which refer to the tasks, go first.
  std::vector<Task<T>> tasks_;
  std::vector<Child> children_;
  std::coroutine_handle<> awaiting_;
  std::size_t left_ = 0;
  Task<T>* failed_ = nullptr;
  bool starting_ = true;
};

}  // namespace obs::async
