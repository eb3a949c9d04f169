#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "obs/error/error.h"
#include "obs/postgres/canceller.h"
#include "obs/postgres/connection.h"
#include "obs/postgres/pool.h"

namespace obs::postgres {

/// Keeps the connections of a pool open, checks them, and lends them out. Thread-safe; its calls block, so
/// they are for threads that may.
class ConnectionPool {
 public:
  using Clock = std::chrono::steady_clock;
  struct Slot;
  struct Return {
    ConnectionPool* pool;
    void operator()(Slot* slot) const { pool->Release(slot); }
  };
  /// A connection lent out; destroying the lease gives it back.
  using Lease = std::unique_ptr<Slot, Return>;

  ConnectionPool(const Config& config, const log::Logger& logger, metrics::Gauge& size,
                 metrics::Gauge& available);
  ~ConnectionPool();
  ConnectionPool(const ConnectionPool&) = delete;
  ConnectionPool& operator=(const ConnectionPool&) = delete;

  /// Waits for a connection until `until`, or until `stop` is requested. Throws obs::Error
  /// `database-unavailable` or `database-pool-exhausted`.
  Lease Acquire(const std::stop_token& stop, Clock::time_point until);
  /// Runs a statement on a connection lent out, and cancels it in PostgreSQL when `stop` is requested or
  /// `deadline` passes. Throws Failure.
  Rows Run(Slot& slot, const Statement& statement, const std::vector<std::string>& parameters,
           const std::stop_token& stop, Clock::time_point deadline);
  /// Why there is no connection for a query. `busy` is the reason when there are connections.
  Error NoConnection(std::string busy) const;
  /// The connection has failed. The idle ones that are as old are given up too: most often the server
  /// restarted.
  void Discard(Lease lease, const Failure& failure);
  std::optional<std::string> Unready() const;
  /// Waits for what is lent out.
  void Close();

 private:
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
  Error NoConnectionLocked(std::string busy) const;
  Lease Lend(Slot* slot);
  std::unique_ptr<Slot> Remove(Slot* slot);
  void Publish();
  std::chrono::milliseconds BackOff();
  /// Waiting for one would be in vain.
  bool NoConnectionExpected() const { return closed_ || (slots_.empty() && connect_failed_); }

  const Config config_;
  const log::Logger logger_;
  metrics::Gauge& size_;
  metrics::Gauge& available_;

  mutable std::mutex mutex_;
  std::condition_variable_any returned_;  ///< a connection became free, or none is to be expected
  std::condition_variable wake_;          ///< the keeper has something to do
  std::condition_variable stop_;          ///< the watch may end
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

  Canceller canceller_;
  std::thread keeper_;
  std::thread watch_;
};

struct ConnectionPool::Slot {
  Slot(const Config& config, const log::Logger& logger) : connection(config, logger) {}

  Connection connection;
  std::uint64_t generation = 0;
  bool spoilt = false;  ///< a cancel request may still be on the way to it: no statement may run on it
  /// When the server has taken too long for what runs.
  Clock::time_point overdue = Clock::time_point::max();
};

}  // namespace obs::postgres
