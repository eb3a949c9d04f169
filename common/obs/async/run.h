#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "obs/async/loop.h"

namespace obs::async {

/// A loop that polls on the thread that calls Run(): for tests, and for programs without a server.
class StandaloneLoop final : private Poller {
 public:
  StandaloneLoop();
  ~StandaloneLoop() override;

  Loop& loop() { return loop_; }

  /// Polls until `done` returns true; it is asked after each batch.
  void RunUntil(const std::function<bool()>& done);
  /// Runs a task to its end. Gives its result, or throws its exception.
  template <typename T>
  T Run(Task<T> task);

 private:
  void Watch(int fd, std::uint64_t tag) override;

  template <typename T>
  static Task<void> Keep(Task<T> task, std::optional<T>& result, std::exception_ptr& error, bool& done) {
    try {
      result.emplace(co_await task);
    } catch (...) {
      error = std::current_exception();
    }
    done = true;
  }
  static Task<void> Keep(Task<void> task, std::exception_ptr& error, bool& done) {
    try {
      co_await task;
    } catch (...) {
      error = std::current_exception();
    }
    done = true;
  }

  const int epoll_fd_;
  Loop loop_;
};

template <typename T>
T StandaloneLoop::Run(Task<T> task) {
  bool done = false;
  std::exception_ptr error;
  if constexpr (std::is_void_v<T>) {
    loop_.Spawn(Keep(std::move(task), error, done));
    RunUntil([&done] { return done; });
    if (error) std::rethrow_exception(error);
  } else {
    std::optional<T> result;
    loop_.Spawn(Keep<T>(std::move(task), result, error, done));
    RunUntil([&done] { return done; });
    if (error) std::rethrow_exception(error);
    return std::move(*result);
  }
}

}  // namespace obs::async
