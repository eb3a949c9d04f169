#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <utility>

#include "obs/async/loop.h"
#include "obs/async/task.h"
#include "obs/async/wake_up.h"

namespace obs::async {

/// How much of something may be under way at once, and how much more may wait for its turn, in order.
/// Thread-safe: those who wait may be on different loops.
class ConcurrencyLimit {
 public:
  ConcurrencyLimit(std::size_t limit, std::size_t max_waiting) : limit_(limit), max_waiting_(max_waiting) {}
  ConcurrencyLimit(const ConcurrencyLimit&) = delete;
  ConcurrencyLimit& operator=(const ConcurrencyLimit&) = delete;

  /// The right to be under way; ends when destroyed. False without the right.
  class Permit {
   public:
    Permit() = default;
    Permit(Permit&& other) noexcept : limit_(std::exchange(other.limit_, nullptr)) {}
    Permit& operator=(Permit&& other) noexcept {
      if (this != &other) {
        Release();
        limit_ = std::exchange(other.limit_, nullptr);
      }
      return *this;
    }
    ~Permit() { Release(); }
    explicit operator bool() const { return limit_ != nullptr; }
    void Release() {
      if (limit_ != nullptr) std::exchange(limit_, nullptr)->Release();
    }

   private:
    friend class ConcurrencyLimit;
    explicit Permit(ConcurrencyLimit& limit) : limit_(&limit) {}
    ConcurrencyLimit* limit_ = nullptr;
  };

  /// At once, or not.
  Permit TryAcquire();
  enum class Refusal { kNone, kTooManyWait, kLate };
  struct Result {
    Permit permit;
    Refusal refusal = Refusal::kNone;
  };
  /// In turn, until `deadline`.
  Task<Result> Acquire(Loop& loop, Deadline deadline);

 private:
  /// One who waits; a coroutine that is cancelled leaves the queue, or hands on what it was given.
  struct Waiter {
    Waiter(ConcurrencyLimit& limit_, Loop& loop_) : limit(limit_), loop(loop_) {}
    ~Waiter();
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    ConcurrencyLimit& limit;
    Loop& loop;
    Loop::Token token = 0;
    // Guarded by the limit's mutex:
    bool queued = false;
    bool granted = false;
    std::list<Waiter*>::iterator place;
  };

  void Release();

  const std::size_t limit_;
  const std::size_t max_waiting_;
  std::mutex mutex_;
  std::size_t under_way_ = 0;
  std::list<Waiter*> waiting_;
};

}  // namespace obs::async
