#pragma once

#include <condition_variable>
#include <coroutine>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "obs/async/loop.h"
#include "obs/async/task.h"

namespace obs::async {

/// Threads for work that can only block, with a bounded queue before them. A coroutine awaits the work on its
/// loop; a coroutine that is cancelled takes its work out of the queue, or asks the thread to stop by the
/// work's stop token. Thread-safe.
class BlockingPool {
 public:
  BlockingPool(std::size_t threads, std::size_t queue_limit);
  /// As Stop().
  ~BlockingPool();
  BlockingPool(const BlockingPool&) = delete;
  BlockingPool& operator=(const BlockingPool&) = delete;

  /// Why work did not run.
  enum class Refusal {
    kQueueFull,  ///< the queue was full, or the pool has stopped
    kNotStarted  ///< no thread was free until `start_by`
  };
  struct NotRun : std::exception {
    explicit NotRun(Refusal refusal_) : refusal(refusal_) {}
    const char* what() const noexcept override { return "the work was not run"; }
    Refusal refusal;
  };

  /// Runs `work` on a thread of the pool, and gives what it returns or throws. `work` must own all that it
  /// uses: it may go on for a while after the awaiting coroutine was cancelled. Throws NotRun.
  template <typename Result>
  Task<Result> Run(Loop& loop, std::function<Result(std::stop_token)> work, Deadline start_by);

  std::size_t queue_length() const;
  /// Drops what waits, which then throws NotRun on its loop, and finishes what runs.
  void Stop();

 private:
  struct Job {
    std::function<void(std::stop_token)> run;
    std::stop_source stop;
    std::shared_ptr<Mailbox> mailbox;
    Loop* loop = nullptr;
    Loop::Token token = 0;
    // Guarded by the pool's mutex:
    bool queued = false;
    std::list<std::shared_ptr<Job>>::iterator place;
    bool dropped = false;  ///< by Stop(); read by the loop after it was woken
  };

  /// Waits for one job.
  class Completion final : private Source, private Timer {
   public:
    Completion(BlockingPool& pool, Loop& loop, std::shared_ptr<Job> job, Deadline start_by);
    ~Completion() override;
    Completion(const Completion&) = delete;
    Completion& operator=(const Completion&) = delete;

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> awaiting);
    /// Nothing when the job has run.
    std::optional<Refusal> await_resume() const noexcept { return refusal_; }

   private:
    void OnReady(const Readiness& ready) override;
    void OnTimer() override;
    void Resume();

    BlockingPool& pool_;
    Loop& loop_;
    const std::shared_ptr<Job> job_;
    const Deadline start_by_;
    std::coroutine_handle<> awaiting_;
    std::optional<Refusal> refusal_;
    bool waiting_ = false;
  };

  bool Push(const std::shared_ptr<Job>& job);
  /// False when a thread has it, or had it.
  bool Remove(Job& job);
  void Work();

  const std::size_t queue_limit_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::list<std::shared_ptr<Job>> queue_;
  std::size_t idle_ = 0;  ///< threads that wait for work
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

template <typename Result>
Task<Result> BlockingPool::Run(Loop& loop, std::function<Result(std::stop_token)> work, Deadline start_by) {
  struct Outcome {
    std::optional<Result> result;
    std::exception_ptr error;
  };
  auto outcome = std::make_shared<Outcome>();
  auto job = std::make_shared<Job>();
  job->run = [outcome, work = std::move(work)](std::stop_token stop) {
    try {
      outcome->result.emplace(work(std::move(stop)));
    } catch (...) {
      outcome->error = std::current_exception();
    }
  };
  Completion completion(*this, loop, std::move(job), start_by);
  const std::optional<Refusal> refusal = co_await completion;
  if (refusal) throw NotRun(*refusal);
  if (outcome->error) std::rethrow_exception(outcome->error);
  co_return std::move(*outcome->result);
}

}  // namespace obs::async
