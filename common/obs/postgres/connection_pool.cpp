#include "obs/postgres/connection_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace obs::postgres {
namespace {

using std::chrono_literals::operator""ms;

constexpr auto kFirstBackOff = 100ms;
constexpr auto kLongestBackOff = 5000ms;
/// What the server may take beyond its own statement timeout before its silence ends a connection.
constexpr auto kGrace = 500ms;
constexpr auto kWatchInterval = 200ms;

constexpr const char* kUndefinedTable = "42P01";

Error Unavailable(std::string cause) {
  return {ErrorCode::kUnavailable, "database-unavailable", "The database cannot be reached.",
          std::move(cause)};
}

}  // namespace

ConnectionPool::ConnectionPool(const Config& config, const log::Logger& logger, metrics::Gauge& size,
                               metrics::Gauge& available)
    : config_(config), logger_(logger), size_(size), available_(available) {
  keeper_ = std::thread([this] { Keep(); });
  watch_ = std::thread([this] { Watch(); });
}

ConnectionPool::~ConnectionPool() { Close(); }

ConnectionPool::Lease ConnectionPool::Acquire(const std::stop_token& stop, Clock::time_point until) {
  const auto start = Clock::now();
  std::unique_lock lock(mutex_);
  returned_.wait_until(lock, stop, until, [this] { return !idle_.empty() || NoConnectionExpected(); });
  if (!idle_.empty() && !closed_ && !stop.stop_requested()) {
    Slot* slot = idle_.back();
    idle_.pop_back();
    return Lend(slot);
  }
  // One that was told of a connection and does not take it tells the next.
  if (!idle_.empty()) returned_.notify_one();
  const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
  throw NoConnectionLocked(fmt::format("none of {} became free in {}ms", slots_.size(), waited.count()));
}

Rows ConnectionPool::Run(Slot& slot, const Statement& statement, const std::vector<std::string>& parameters,
                         const std::stop_token& stop, Clock::time_point deadline) {
  Canceller::Run run(canceller_, slot.connection.cancel_request(), stop, deadline);
  try {
    Rows rows = slot.connection.Run(statement, parameters, stop);
    slot.spoilt = !run.End(Canceller::Run::kPatience);
    return rows;
  } catch (Failure& failure) {
    // A broken connection is not used again anyway, and the request may wait for a server that stands still.
    slot.spoilt = !run.End(failure.fatal() ? 0ms : Canceller::Run::kPatience);
    const bool late = failure.kind == Failure::Kind::kCanceled && Clock::now() >= deadline;
    // The server cannot tell whose request it was.
    if (late) failure.reason = "the deadline of the request passed";
    throw;
  }
}

Error ConnectionPool::NoConnection(std::string busy) const {
  const std::lock_guard lock(mutex_);
  return NoConnectionLocked(std::move(busy));
}

Error ConnectionPool::NoConnectionLocked(std::string busy) const {
  if (closed_) return Unavailable("the pool is closed");
  if (slots_.empty()) return Unavailable(unready_.value_or("connecting"));
  return {ErrorCode::kUnavailable, "database-pool-exhausted", "All database connections are busy.",
          std::move(busy)};
}

void ConnectionPool::Discard(Lease lease, const Failure& failure) {
  std::vector<std::unique_ptr<Slot>> broken;
  bool first_report = false;
  {
    std::lock_guard lock(mutex_);
    Slot* slot = lease.release();
    first_report = slot->generation == generation_;
    broken.push_back(Remove(slot));
    if (first_report) {
      ++generation_;
      for (Slot* idle : idle_) broken.push_back(Remove(idle));
      idle_.clear();
      connect_failed_ = false;
      established_ = false;
      next_attempt_ = Clock::now();
      if (failure.kind == Failure::Kind::kSilent) unready_ = "the database does not answer";
    }
    Publish();
  }
  wake_.notify_one();
  returned_.notify_all();
  if (!first_report) return;
  logger_.Error("Database connection lost", {{"reason", failure.reason},
                                             {"connections", broken.size()},
                                             {"host", config_.host},
                                             {"database", config_.database}});
}

std::optional<std::string> ConnectionPool::Unready() const {
  std::lock_guard lock(mutex_);
  return unready_;
}

void ConnectionPool::Close() {
  {
    std::unique_lock lock(mutex_);
    if (std::exchange(closed_, true)) return;
    unready_ = "the pool is closed";
    wake_.notify_one();
    returned_.notify_all();
    returned_.wait(lock, [this] { return slots_.size() == idle_.size(); });
  }
  keeper_.join();
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    idle_.clear();
    slots_.clear();
    Publish();
  }
  stop_.notify_one();
  watch_.join();
  canceller_.Stop();
  logger_.Info("Database connection pool closed", {{"host", config_.host}, {"database", config_.database}});
}

void ConnectionPool::Keep() {
  for (;;) {
    switch (AwaitTask()) {
      case Task::kOpen:
        Open();
        break;
      case Task::kCheck:
        Check();
        break;
      case Task::kStop:
        return;
    }
  }
}

ConnectionPool::Task ConnectionPool::AwaitTask() {
  std::unique_lock lock(mutex_);
  for (;;) {
    const bool missing = slots_.size() < config_.pool_size;
    const auto now = Clock::now();
    if (closed_) return Task::kStop;
    if (missing && now >= next_attempt_) return Task::kOpen;
    if (now >= next_check_ && !idle_.empty()) return Task::kCheck;
    // With none idle, all are at work or there is none: nothing to check until one is back.
    if (now >= next_check_) next_check_ = now + config_.check_interval;
    wake_.wait_until(lock, missing ? std::min(next_attempt_, next_check_) : next_check_);
  }
}

void ConnectionPool::Open() {
  std::unique_ptr<Slot> slot;
  try {
    slot = std::make_unique<Slot>(config_, logger_);
  } catch (const Failure& failure) {
    ConnectFailed(failure.reason);
    return;
  }
  Lease lease(nullptr, Return{this});
  {
    std::lock_guard lock(mutex_);
    slot->generation = generation_;
    slots_.push_back(std::move(slot));
    connect_failed_ = false;
    lease = Lend(slots_.back().get());
  }
  const bool good = Verify(std::move(lease));
  std::lock_guard lock(mutex_);
  if (good) {
    failures_ = 0;
  } else {
    BackOff();
  }
}

void ConnectionPool::Check() {
  Lease lease(nullptr, Return{this});
  {
    std::lock_guard lock(mutex_);
    if (idle_.empty()) return;
    // The one that has been idle longest.
    Slot* slot = idle_.front();
    idle_.pop_front();
    lease = Lend(slot);
  }
  Verify(std::move(lease));
  // From its end: a slow check must not take the connection again before a query that waits for it.
  std::lock_guard lock(mutex_);
  next_check_ = Clock::now() + config_.check_interval;
}

bool ConnectionPool::Verify(Lease lease) {
  try {
    const auto value = lease->connection.Run(config_.check_sql);
    if (value && config_.on_check) config_.on_check(*value);
    Passed(lease->generation, std::nullopt);
  } catch (const Failure& failure) {
    if (failure.fatal()) {
      Discard(std::move(lease), failure);
      return false;
    }
    Passed(lease->generation, RefusedCheck(failure));
  }
  return true;
}

/// The server answered; `unready` tells whether the answer was a refusal.
void ConnectionPool::Passed(std::uint64_t generation, std::optional<std::string> unready) {
  bool established = false;
  bool refused = false;
  {
    std::lock_guard lock(mutex_);
    if (closed_ || generation != generation_) return;
    established = !std::exchange(established_, true);
    refused = unready && unready != unready_;
    unready_ = unready;
  }
  if (established) {
    logger_.Info("Database connection pool established", {{"size", config_.pool_size},
                                                          {"host", config_.host},
                                                          {"port", config_.port},
                                                          {"database", config_.database},
                                                          {"user", config_.user}});
  }
  if (refused) logger_.Error("Database query failed", {{"query_type", "check"}, {"reason", *unready}});
}

std::string ConnectionPool::RefusedCheck(const Failure& failure) const {
  if (failure.sqlstate == kUndefinedTable) {
    return fmt::format("the migrations have not been applied, run migrations/apply: {}", failure.reason);
  }
  return fmt::format("the check failed with SQLSTATE {}: {}", failure.sqlstate, failure.reason);
}

void ConnectionPool::ConnectFailed(const std::string& reason) {
  unsigned attempt = 0;
  std::chrono::milliseconds delay{};
  {
    std::lock_guard lock(mutex_);
    connect_failed_ = true;
    if (slots_.empty() && !closed_) unready_ = "cannot connect to the database: " + reason;
    delay = BackOff();
    attempt = failures_;
  }
  returned_.notify_all();
  logger_.Error("Database connection failed", {{"reason", reason},
                                               {"host", config_.host},
                                               {"port", config_.port},
                                               {"database", config_.database},
                                               {"user", config_.user},
                                               {"attempt", attempt},
                                               {"retry_in_ms", delay.count()}});
}

void ConnectionPool::Watch() {
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, kWatchInterval, [this] { return stopped_; })) {
    const auto now = Clock::now();
    for (const auto& slot : slots_) {
      if (slot->overdue > now) continue;
      slot->connection.Abort();
      slot->overdue = Clock::time_point::max();
    }
  }
}

void ConnectionPool::Release(Slot* slot) {
  std::unique_ptr<Slot> useless;
  {
    std::lock_guard lock(mutex_);
    slot->overdue = Clock::time_point::max();
    if (slot->generation == generation_ && !slot->spoilt && slot->connection.usable()) {
      idle_.push_back(slot);
    } else {
      useless = Remove(slot);
    }
    Publish();
    // Close() waits for the last one, and no query waits then.
    if (closed_) {
      returned_.notify_all();
    } else {
      returned_.notify_one();
    }
  }
  if (useless) wake_.notify_one();
}

ConnectionPool::Lease ConnectionPool::Lend(Slot* slot) {
  slot->overdue = Clock::now() + config_.statement_timeout + kGrace;
  Publish();
  return Lease(slot, Return{this});
}

std::unique_ptr<ConnectionPool::Slot> ConnectionPool::Remove(Slot* slot) {
  const auto found =
      std::find_if(slots_.begin(), slots_.end(), [slot](const auto& owned) { return owned.get() == slot; });
  std::unique_ptr<Slot> removed = std::move(*found);
  slots_.erase(found);
  return removed;
}

void ConnectionPool::Publish() {
  size_.Set(static_cast<double>(slots_.size()));
  available_.Set(static_cast<double>(idle_.size()));
}

/// Puts the next attempt off, each time twice as far, with jitter so that many clients do not come back
/// together.
std::chrono::milliseconds ConnectionPool::BackOff() {
  const auto longest =
      std::min<std::chrono::milliseconds>(kFirstBackOff * (1 << std::min(failures_, 6u)), kLongestBackOff);
  ++failures_;
  const auto delay = longest / 2 + std::chrono::milliseconds(random_() % (longest.count() / 2));
  next_attempt_ = Clock::now() + delay;
  return std::chrono::duration_cast<std::chrono::milliseconds>(delay);
}

}  // namespace obs::postgres
