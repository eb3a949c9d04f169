#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "obs/postgres/connection.h"
#include "obs/postgres/pool.h"

namespace obs::postgres {

/// Keeps the connections of a pool open, checks them, and lends them out. Thread-safe.
class Keeper {
 public:
  struct Slot;
  struct Return {
    Keeper* keeper;
    void operator()(Slot* slot) const { keeper->Release(slot); }
  };
  /// A connection lent out; destroying the lease gives it back.
  using Lease = std::unique_ptr<Slot, Return>;

  Keeper(const Config& config, const log::Logger& logger, metrics::Gauge& size, metrics::Gauge& available);
  ~Keeper();
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  /// Throws obs::Error `database-unavailable` or `database-pool-exhausted`.
  Lease Acquire();
  /// The connection has failed. The idle ones that are as old are given up too: most often the server
  /// restarted.
  void Discard(Lease lease, const Failure& failure);
  std::optional<std::string> Unready() const;
  /// Waits for what is lent out.
  void Close();

 private:
  using Clock = std::chrono::steady_clock;
  enum class Task { kOpen, kCheck, kStop };

  void Keep();
  Task AwaitTask();
  void Open();
  void Check();
  /// Runs the check; false when the connection was lost over it.
  bool Verify(Lease lease);
  void Passed(std::uint64_t generation, std::optional<std::string> unready);
  void ConnectFailed(const std::string& reason);
  std::string RefusedCheck(const Failure& failure) const;
  void Watch();

  void Release(Slot* slot);
  // With mutex_ held:
  Lease Lend(Slot* slot);
  std::unique_ptr<Slot> Remove(Slot* slot);
  void Publish();
  std::chrono::milliseconds BackOff();
  bool Hopeless() const { return closed_ || (slots_.empty() && connect_failed_); }

  const Config config_;
  const log::Logger logger_;
  metrics::Gauge& size_;
  metrics::Gauge& available_;

  mutable std::mutex mutex_;
  std::condition_variable returned_;  ///< a connection became free, or there is no hope of one
  std::condition_variable wake_;      ///< the keeper has something to do
  std::condition_variable stop_;      ///< the watch may end
  std::vector<std::unique_ptr<Slot>> slots_;
  std::deque<Slot*> idle_;
  std::uint64_t generation_ = 0;  ///< grows when connections turn out to be broken
  bool closed_ = false;
  bool stopped_ = false;
  bool connect_failed_ = false;  ///< the last attempt failed
  bool established_ = false;
  std::optional<std::string> unready_ = "not connected to the database yet";
  unsigned failures_ = 0;  ///< attempts in a row that gave no connection of any use
  Clock::time_point next_attempt_ = Clock::now();
  Clock::time_point next_check_ = Clock::now();
  std::minstd_rand random_{std::random_device{}()};

  std::thread keeper_;
  std::thread watch_;
};

struct Keeper::Slot {
  explicit Slot(const Config& config) : connection(config) {}

  Connection connection;
  std::uint64_t generation = 0;
  /// When whoever has it has waited too long for the server.
  Clock::time_point overdue = Clock::time_point::max();
};

}  // namespace obs::postgres
