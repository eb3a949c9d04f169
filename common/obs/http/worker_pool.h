#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace obs::http {

/// A fixed number of threads and a bounded queue before them. Thread-safe.
class WorkerPool {
 public:
  using Task = std::function<void()>;

  WorkerPool(std::size_t threads, std::size_t queue_limit);
  /// As Stop().
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// False, at once, when every thread is busy and the queue is full, or after Stop(). Tasks must not throw.
  bool TryPush(Task task);
  std::size_t queue_length() const;
  /// Discards what waits, finishes what runs.
  void Stop();

 private:
  void Work();

  const std::size_t queue_limit_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Task> queue_;
  std::size_t running_ = 0;  ///< tasks that threads are at
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace obs::http
