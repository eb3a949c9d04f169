#include "obs/async/concurrency_limit.h"

namespace obs::async {

ConcurrencyLimit::Permit ConcurrencyLimit::TryAcquire() {
  const std::lock_guard lock(mutex_);
  if (under_way_ >= limit_ || !waiting_.empty()) return {};
  ++under_way_;
  return Permit(*this);
}

Task<ConcurrencyLimit::Result> ConcurrencyLimit::Acquire(Loop& loop, Deadline deadline) {
  Result result;
  WakeUp wake_up(loop, deadline);
  Waiter waiter(*this, loop);
  waiter.token = wake_up.token();
  {
    const std::lock_guard lock(mutex_);
    if (under_way_ < limit_ && waiting_.empty()) {
      ++under_way_;
      result.permit = Permit(*this);
      co_return result;
    }
    if (waiting_.size() >= max_waiting_) {
      result.refusal = Refusal::kTooManyWait;
      co_return result;
    }
    waiter.place = waiting_.insert(waiting_.end(), &waiter);
    waiter.queued = true;
  }
  co_await wake_up;
  const std::lock_guard lock(mutex_);
  if (waiter.granted) {
    waiter.granted = false;
    result.permit = Permit(*this);
  } else {
    result.refusal = Refusal::kLate;
  }
  co_return result;
}

ConcurrencyLimit::Waiter::~Waiter() {
  bool hand_on = false;
  {
    const std::lock_guard lock(limit.mutex_);
    if (queued) limit.waiting_.erase(place);
    hand_on = granted;
  }
  if (hand_on) limit.Release();
}

void ConcurrencyLimit::Release() {
  const std::lock_guard lock(mutex_);
  if (waiting_.empty()) {
    --under_way_;
    return;
  }
  Waiter& next = *waiting_.front();
  waiting_.pop_front();
  next.queued = false;
  next.granted = true;
  // With the lock, or the waiter could be gone.
  Loop::Wake(next.loop.mailbox(), &next.loop, next.token);
}

}  // namespace obs::async
