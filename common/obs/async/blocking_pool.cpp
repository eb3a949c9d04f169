#include "obs/async/blocking_pool.h"

namespace obs::async {

BlockingPool::BlockingPool(std::size_t threads, std::size_t queue_limit) : queue_limit_(queue_limit) {
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

BlockingPool::~BlockingPool() { Stop(); }

std::size_t BlockingPool::queue_length() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

void BlockingPool::Stop() {
  std::list<std::shared_ptr<Job>> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& job : queue_) {
      job->queued = false;
      job->dropped = true;
    }
    dropped.swap(queue_);
  }
  for (const auto& job : dropped) Loop::Wake(job->mailbox, job->loop, job->token);
  ready_.notify_all();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

bool BlockingPool::Push(const std::shared_ptr<Job>& job) {
  {
    const std::lock_guard lock(mutex_);
    // A thread that is idle takes one of the queue at once.
    if (stopping_ || queue_.size() >= queue_limit_ + idle_) return false;
    job->place = queue_.insert(queue_.end(), job);
    job->queued = true;
  }
  ready_.notify_one();
  return true;
}

bool BlockingPool::Remove(Job& job) {
  std::shared_ptr<Job> removed;  // destroyed without the lock
  const std::lock_guard lock(mutex_);
  if (!std::exchange(job.queued, false)) return false;
  removed = std::move(*job.place);
  queue_.erase(job.place);
  return true;
}

void BlockingPool::Work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    ready_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    --idle_;
    if (stopping_) return;
    const std::shared_ptr<Job> job = std::move(queue_.front());
    queue_.pop_front();
    job->queued = false;
    lock.unlock();
    job->run(job->stop.get_token());
    job->run = nullptr;
    Loop::Wake(job->mailbox, job->loop, job->token);
    lock.lock();
  }
}

BlockingPool::Completion::Completion(BlockingPool& pool, Loop& loop, std::shared_ptr<Job> job,
                                     Deadline start_by)
    : pool_(pool), loop_(loop), job_(std::move(job)), start_by_(start_by) {}

BlockingPool::Completion::~Completion() {
  if (!waiting_) return;
  if (!pool_.Remove(*job_)) job_->stop.request_stop();
  loop_.Forget(job_->token);
}

bool BlockingPool::Completion::await_suspend(std::coroutine_handle<> awaiting) {
  awaiting_ = awaiting;
  job_->mailbox = loop_.mailbox();
  job_->loop = &loop_;
  job_->token = loop_.Add(*this);
  waiting_ = pool_.Push(job_);
  if (!waiting_) {
    loop_.Forget(job_->token);
    refusal_ = Refusal::kQueueFull;
    return false;
  }
  if (start_by_ != Deadline::max()) Arm(loop_, start_by_);
  return true;
}

void BlockingPool::Completion::OnReady(const Readiness& /*ready*/) {
  if (job_->dropped) refusal_ = Refusal::kQueueFull;
  Resume();
}

void BlockingPool::Completion::OnTimer() {
  if (!pool_.Remove(*job_)) return;  // it runs, or its end is on the way
  refusal_ = Refusal::kNotStarted;
  Resume();
}

void BlockingPool::Completion::Resume() {
  waiting_ = false;
  loop_.Forget(job_->token);
  Disarm();
  awaiting_.resume();
}

}  // namespace obs::async
