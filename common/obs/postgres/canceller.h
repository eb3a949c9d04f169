#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

namespace obs::postgres {

/// Asks the server to end what runs on one connection, and returns when the server has passed that on. Can be
/// called from any thread, also after the connection is gone; must not throw. It waits without a limit for a
/// server that stands still.
using CancelRequest = std::function<void()>;

/// Cancels statements, on a thread of its own: neither a loop nor the watch over silent connections may wait
/// for a server that stands still. Thread-safe.
class Canceller {
 public:
  using Clock = std::chrono::steady_clock;

  Canceller();
  /// As Stop().
  ~Canceller() { Stop(); }
  Canceller(const Canceller&) = delete;
  Canceller& operator=(const Canceller&) = delete;

  /// One statement that runs: cancelled when `stop` is requested or `deadline` passes, and again and again
  /// until it ends, because the server forgets a request that comes just before the statement. For the thread
  /// that runs the statement.
  class Run;

  /// After the last Run has ended.
  void Stop();

 private:
  struct Entry {
    CancelRequest request;
    Clock::time_point due;
    bool sending = false;
  };
  /// Belongs to the thread too, which can outlast the canceller when the server stands still.
  struct State {
    std::mutex mutex;
    std::condition_variable changed;  ///< something may have become due
    std::condition_variable sent;     ///< a request has been sent, or the thread is over
    std::vector<std::shared_ptr<Entry>> entries;
    bool stopping = false;
    bool over = false;
  };

  static void Work(const std::shared_ptr<State>& state);

  const std::shared_ptr<State> state_ = std::make_shared<State>();
  std::thread thread_;
};

class Canceller::Run {
 public:
  Run(Canceller& canceller, CancelRequest request, const std::stop_token& stop, Clock::time_point deadline);
  /// As End(kPatience), unless that has been called.
  ~Run() {
    if (!ended_) End(kPatience);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  /// After this no request of this run reaches the connection, so that none can hit the next statement. False
  /// when one is still under way after `patience`: the connection must not be used again.
  bool End(std::chrono::milliseconds patience);

  /// Enough for a busy server.
  static constexpr std::chrono::milliseconds kPatience{5000};

 private:
  struct Want {
    Run& run;
    void operator()() const;
  };

  const std::shared_ptr<State> state_;
  const std::shared_ptr<Entry> entry_;
  bool ended_ = false;
  std::optional<std::stop_callback<Want>> on_stop_;
};

}  // namespace obs::postgres
