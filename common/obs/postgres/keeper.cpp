#include "obs/postgres/keeper.h"

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

Keeper::Keeper(const Config& config, const log::Logger& logger, metrics::Gauge& size,
               metrics::Gauge& available)
    : config_(config), logger_(logger), size_(size), available_(available) {
  keeper_ = std::thread([this] { Keep(); });
  watch_ = std::thread([this] { Watch(); });
}

Keeper::~Keeper() { Close(); }

Keeper::Lease Keeper::Acquire() {
  std::unique_lock lock(mutex_);
  returned_.wait_for(lock, config_.acquire_timeout, [this] { return !idle_.empty() || Hopeless(); });
  if (closed_) throw Unavailable("the pool is closed");
  if (!idle_.empty()) {
    Slot* slot = idle_.back();
    idle_.pop_back();
    return Lend(slot);
  }
  if (slots_.empty()) throw Unavailable(unready_.value_or("connecting"));
  throw Error(ErrorCode::kUnavailable, "database-pool-exhausted", "All database connections are busy.",
              fmt::format("none of {} became free in {}ms", slots_.size(), config_.acquire_timeout.count()));
}

void Keeper::Discard(Lease lease, const Failure& failure) {
  std::vector<std::unique_ptr<Slot>> broken;
  bool news = false;
  {
    std::lock_guard lock(mutex_);
    Slot* slot = lease.release();
    news = slot->generation == generation_;
    broken.push_back(Remove(slot));
    if (news) {
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
  if (!news) return;
  logger_.Error("Database connection lost", {{"reason", failure.reason},
                                             {"connections", broken.size()},
                                             {"host", config_.host},
                                             {"database", config_.database}});
}

std::optional<std::string> Keeper::Unready() const {
  std::lock_guard lock(mutex_);
  return unready_;
}

void Keeper::Close() {
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
  logger_.Info("Database connection pool closed", {{"host", config_.host}, {"database", config_.database}});
}

void Keeper::Keep() {
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

Keeper::Task Keeper::AwaitTask() {
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

void Keeper::Open() {
  std::unique_ptr<Slot> slot;
  try {
    slot = std::make_unique<Slot>(config_);
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

void Keeper::Check() {
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
  // From its end: one that is slow shall not take the connection again before anyone who waits for it.
  std::lock_guard lock(mutex_);
  next_check_ = Clock::now() + config_.check_interval;
}

bool Keeper::Verify(Lease lease) {
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
void Keeper::Passed(std::uint64_t generation, std::optional<std::string> unready) {
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

std::string Keeper::RefusedCheck(const Failure& failure) const {
  if (failure.sqlstate == kUndefinedTable) {
    return fmt::format("the migrations have not been applied, run migrations/apply: {}", failure.reason);
  }
  return fmt::format("the check failed with SQLSTATE {}: {}", failure.sqlstate, failure.reason);
}

void Keeper::ConnectFailed(const std::string& reason) {
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

void Keeper::Watch() {
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

void Keeper::Release(Slot* slot) {
  std::unique_ptr<Slot> outdated;
  {
    std::lock_guard lock(mutex_);
    slot->overdue = Clock::time_point::max();
    if (slot->generation == generation_) {
      idle_.push_back(slot);
    } else {
      outdated = Remove(slot);
    }
    Publish();
    // Close() waits for the last one, and nobody else waits then.
    closed_ ? returned_.notify_all() : returned_.notify_one();
  }
  if (outdated) wake_.notify_one();
}

Keeper::Lease Keeper::Lend(Slot* slot) {
  slot->overdue = Clock::now() + config_.statement_timeout + kGrace;
  Publish();
  return Lease(slot, Return{this});
}

std::unique_ptr<Keeper::Slot> Keeper::Remove(Slot* slot) {
  const auto found =
      std::find_if(slots_.begin(), slots_.end(), [slot](const auto& owned) { return owned.get() == slot; });
  std::unique_ptr<Slot> removed = std::move(*found);
  slots_.erase(found);
  return removed;
}

void Keeper::Publish() {
  size_.Set(static_cast<double>(slots_.size()));
  available_.Set(static_cast<double>(idle_.size()));
}

/// Puts the next attempt off, each time twice as far, with jitter so that many clients do not come back
/// together.
std::chrono::milliseconds Keeper::BackOff() {
  const auto longest =
      std::min<std::chrono::milliseconds>(kFirstBackOff * (1 << std::min(failures_, 6u)), kLongestBackOff);
  ++failures_;
  const auto delay = longest / 2 + std::chrono::milliseconds(random_() % (longest.count() / 2));
  next_attempt_ = Clock::now() + delay;
  return std::chrono::duration_cast<std::chrono::milliseconds>(delay);
}

}  // namespace obs::postgres
