#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "obs/async/task.h"

namespace obs::async {

using Clock = std::chrono::steady_clock;
/// A moment at which something must have ended; Clock::time_point::max() for never.
using Deadline = Clock::time_point;

class Loop;

/// What became possible on a descriptor since the last look (epoll, edge-triggered).
struct Readiness {
  bool readable = false;
  bool writable = false;
  bool closed = false;  ///< the other side sends no more
  bool broken = false;  ///< nothing can be sent or received any more
};

/// Hears of a descriptor's readiness.
class Source {
 public:
  virtual void OnReady(const Readiness& ready) = 0;

 protected:
  ~Source() = default;
};

/// Waits for descriptors on behalf of a loop.
class Poller {
 public:
  virtual ~Poller() = default;
  /// Reports every change of `fd`, edge-triggered, by Loop::Dispatch() with `tag`, until `fd` is closed.
  /// Throws std::system_error.
  virtual void Watch(int fd, std::uint64_t tag) = 0;
};

/// Calls OnTimer() once at a time. Belongs to what it acts for: destroying it disarms it.
class Timer {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// Again: the later call holds.
  void Arm(Loop& loop, Clock::time_point when);
  void Disarm();
  bool armed() const { return place_ != kNowhere; }

 protected:
  virtual ~Timer() { Disarm(); }
  virtual void OnTimer() = 0;

 private:
  friend class Loop;
  static constexpr std::size_t kNowhere = SIZE_MAX;
  Loop* loop_ = nullptr;
  Clock::time_point when_;
  std::size_t place_ = kNowhere;  ///< in the loop's heap
};

/// Takes work for a loop from other threads. Thread-safe; outlives its loop.
class Mailbox {
 public:
  Mailbox();
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  /// Runs `work` on the loop's thread, soon. False when the loop has ended; `work` is then destroyed here.
  bool Post(std::function<void()> work);

 private:
  friend class Loop;
  std::vector<std::function<void()>> Take();
  void Close();

  const int fd_;  ///< an eventfd: the loop wakes by it
  std::mutex mutex_;
  std::vector<std::function<void()>> work_;
  bool closed_ = false;
};

/// One thread's waiting: descriptors, timers, and work posted by other threads. Everything but mailbox() is
/// for the loop's own thread, and before Start() for the one that makes it.
///
/// A loop does not poll by itself: a Poller calls Dispatch() for each event and EndBatch() after a batch of
/// them.
class Loop {
 public:
  /// The tags given to a Poller have this bit; it may use all others for its own.
  static constexpr std::uint64_t kTagBit = std::uint64_t{1} << 63;

  Loop();
  /// Runs Stop() when that has not happened.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// `poller` must outlive the loop's last Watch().
  void Start(Poller& poller);
  /// Cancels all spawned tasks, runs what AtStop() was given, drops posted work and closes the mailbox.
  void Stop();
  bool stopped() const { return stopped_; }
  /// `work` is run by Stop(), the latest given first, while the loop can still be used.
  void AtStop(std::function<void()> work) { at_stop_.push_back(std::move(work)); }

  // For the poller.
  void Dispatch(std::uint64_t tag, const Readiness& ready);
  void EndBatch();

  /// Names a source; a name that is forgotten matches nothing any more, so that a late event is harmless.
  using Token = std::uint64_t;
  Token Add(Source& source);
  /// Add(), and reports the readiness of `fd`.
  Token Watch(int fd, Source& source);
  /// The descriptor, if any, must then be closed.
  void Forget(Token token);
  /// Tells the source, if `token` still names one, from any thread that has the mailbox.
  static void Wake(const std::shared_ptr<Mailbox>& mailbox, Loop* loop, Token token);

  const std::shared_ptr<Mailbox>& mailbox() const { return mailbox_; }

  /// Runs a task that nothing awaits until its end or Stop(). The task must not let an exception out.
  void Spawn(Task<void> task);
  /// Runs `work` at the end of the current batch, when no coroutine is being resumed.
  void Defer(std::function<void()> work);

  /// What the owner of `key` keeps on this loop, made by `make` at first; destroyed with the loop. For state
  /// of one thread that belongs to an object of all threads, such as a client's connections.
  class Local {
   public:
    virtual ~Local() = default;
  };
  static std::uint64_t NewLocalKey();
  Local& LocalOf(std::uint64_t key, const std::function<std::unique_ptr<Local>(Loop&)>& make);

  /// Room for what is read from a descriptor. Its bytes hold until the caller gives control back.
  std::span<char> ReadBuffer();

  std::size_t timers() const { return heap_.size(); }

 private:
  friend class Timer;
  struct Slot {
    Source* source = nullptr;
    std::uint32_t generation = 0;
  };
  class TimerSource final : public Source {
   public:
    explicit TimerSource(Loop& loop) : loop_(loop) {}
    void OnReady(const Readiness&) override { loop_.RunTimers(); }

   private:
    Loop& loop_;
  };
  class MailSource final : public Source {
   public:
    explicit MailSource(Loop& loop) : loop_(loop) {}
    void OnReady(const Readiness&) override { loop_.RunPosted(); }

   private:
    Loop& loop_;
  };
  class Spawned;

  void RunTimers();
  void RunPosted();
  void SetAlarm(Clock::time_point when);
  void AddTimer(Timer& timer);
  void RemoveTimer(Timer& timer);
  void Place(std::size_t place, Timer* timer);
  void MoveUp(std::size_t place);
  void MoveDown(std::size_t place);

  Poller* poller_ = nullptr;
  bool stopped_ = false;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::vector<Timer*> heap_;  ///< the earliest first
  const int timer_fd_;
  Clock::time_point alarm_ = Clock::time_point::max();  ///< what timer_fd_ is set to
  TimerSource timer_source_{*this};
  MailSource mail_source_{*this};
  std::shared_ptr<Mailbox> mailbox_;
  std::list<std::unique_ptr<Spawned>> spawned_;
  std::vector<std::function<void()>> deferred_;
  std::vector<std::function<void()>> at_stop_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Local>> locals_;
  std::unique_ptr<char[]> read_buffer_;
};

/// `co_await Sleep(loop, 5ms)`.
class Sleep final : private Timer {
 public:
  Sleep(Loop& loop, Clock::duration duration) : loop_(loop), duration_(duration) {}

  bool await_ready() const { return duration_ <= Clock::duration::zero(); }
  void await_suspend(std::coroutine_handle<> awaiting) {
    awaiting_ = awaiting;
    Arm(loop_, Clock::now() + duration_);
  }
  void await_resume() const {}

 private:
  void OnTimer() override { awaiting_.resume(); }

  Loop& loop_;
  const Clock::duration duration_;
  std::coroutine_handle<> awaiting_;
};

}  // namespace obs::async
