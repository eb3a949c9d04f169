#include "obs/postgres/pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <mutex>
#include <string_view>
#include <utility>

#include "obs/async/blocking_pool.h"
#include "obs/postgres/connection.h"
#include "obs/postgres/connection_pool.h"

namespace obs::postgres {
namespace {

using async::Clock;

double Milliseconds(Clock::duration duration) {
  return std::round(std::chrono::duration<double, std::micro>(duration).count()) / 1000;
}

Error ToError(const Failure& failure) {
  switch (failure.kind) {
    case Failure::Kind::kBroken:
      return {ErrorCode::kUnavailable, "database-unavailable", "The database cannot be reached.",
              failure.reason};
    case Failure::Kind::kSilent:
    case Failure::Kind::kCanceled:
      return {ErrorCode::kUnavailable, "database-timeout", "The database did not answer in time.",
              failure.reason};
    case Failure::Kind::kStatement:
      break;
  }
  return {ErrorCode::kInternal, "database-error", "The database refused the query.", failure.reason};
}

}  // namespace

struct Pool::Impl {
  Impl(Config config_, const Telemetry& telemetry)
      : config(std::move(config_)),
        queries(telemetry.registry.AddCounter("database_queries_total", "Queries by type and result.",
                                              {"query_type", "result"})),
        durations(telemetry.registry.AddHistogram("database_query_duration_seconds",
                                                  "Time from sending a query to its last row.",
                                                  {"query_type"}, metrics::DatabaseDurationBuckets())),
        wait_point(telemetry.registry, "database"),
        connections(
            config, telemetry.logger,
            telemetry.registry.AddGauge("database_connection_pool_size", "Open connections.").With({}),
            telemetry.registry
                .AddGauge("database_connection_pool_available", "Open connections that are idle.")
                .With({})),
        threads(config.pool_size, config.max_waiting) {}

  const Config config;
  metrics::Family<metrics::Counter>& queries;
  metrics::Family<metrics::Histogram>& durations;
  const WaitPoint wait_point;
  ConnectionPool connections;
  // After the connections, which its threads use.
  async::BlockingPool threads;
  std::mutex closing;  ///< held by Close()
};

namespace {

/// Tells the awaiting side when its query was sent.
class SentAt {
 public:
  void Set(Clock::time_point when) { when_ = when.time_since_epoch().count(); }
  /// Nothing before it was sent.
  std::optional<Clock::time_point> Get() const {
    const Clock::rep when = when_;
    if (when == 0) return std::nullopt;
    return Clock::time_point(Clock::duration(when));
  }

 private:
  std::atomic<Clock::rep> when_ = 0;
};

/// How a query ended. Either it was sent, or there is a refusal.
struct Outcome {
  Rows rows;
  std::optional<Failure> failure;
  std::optional<Error> refusal;  ///< there was no connection
  Clock::time_point sent;
  Clock::time_point done;
};

/// A query on a thread that may block. Owns what it uses, but for the connections: the coroutine that wanted
/// it may be gone.
class Job {
 public:
  Job(ConnectionPool& connections, const Config& config, const Statement& statement,
      std::vector<std::string> parameters, Deadline deadline, std::shared_ptr<SentAt> sent)
      : connections_(connections),
        acquire_timeout_(config.acquire_timeout),
        statement_(statement),
        parameters_(std::move(parameters)),
        deadline_(deadline),
        start_by_(std::min(Clock::now() + acquire_timeout_, deadline)),
        sent_(std::move(sent)) {}

  Deadline start_by() const { return start_by_; }

  Outcome operator()(const std::stop_token& stop) const {
    Outcome outcome;
    Deadline until = start_by_;
    for (bool again = false;; again = true) {
      outcome.failure.reset();
      ConnectionPool::Lease lease;
      try {
        lease = connections_.Acquire(stop, until);
      } catch (const Error& refusal) {
        outcome.refusal = refusal;
        return outcome;
      }
      outcome.sent = Clock::now();
      sent_->Set(outcome.sent);
      try {
        outcome.rows = connections_.Run(*lease, statement_, parameters_, stop, deadline_);
      } catch (const Failure& failure) {
        outcome.failure = failure;
      }
      outcome.done = Clock::now();
      if (!outcome.failure) return outcome;
      const Failure& failure = *outcome.failure;
      if (failure.fatal()) connections_.Discard(std::move(lease), failure);
      const bool may_repeat = statement_.idempotent || !failure.may_have_run;
      if (failure.kind != Failure::Kind::kBroken || !may_repeat || again) return outcome;
      until = std::min(Clock::now() + acquire_timeout_, deadline_);
    }
  }

 private:
  ConnectionPool& connections_;
  std::chrono::milliseconds acquire_timeout_;
  Statement statement_;
  std::vector<std::string> parameters_;
  Deadline deadline_;
  Deadline start_by_;
  std::shared_ptr<SentAt> sent_;
};

/// One query as telemetry sees it: span, counter, histogram and log line agree with each other. Destroyed
/// before the end, it was cancelled.
class QueryTelemetry {
 public:
  QueryTelemetry(Scope& scope, const Config& config, const Statement& statement,
                 metrics::Family<metrics::Counter>& queries, metrics::Family<metrics::Histogram>& durations,
                 std::shared_ptr<const SentAt> sent)
      : scope_(scope.Child(statement.operation + ' ' + statement.collection, trace::Kind::kClient,
                           {{"db.system.name", "postgresql"},
                            {"db.namespace", config.database},
                            {"db.query.text", statement.sql},
                            {"db.operation.name", statement.operation},
                            {"db.collection.name", statement.collection},
                            {"server.address", config.host},
                            {"server.port", config.port}})),
        statement_(statement),
        queries_(queries),
        durations_(durations),
        sent_(std::move(sent)) {
    if (!config.old_attributes || !scope_.span().recording()) return;
    scope_.Set({"db.system", "postgresql"});
    scope_.Set({"db.name", config.database});
    scope_.Set({"db.statement", statement.sql});
    scope_.Set({"db.user", config.user});
  }
  ~QueryTelemetry() {
    if (!over_) Cancelled();
  }
  QueryTelemetry(const QueryTelemetry&) = delete;
  QueryTelemetry& operator=(const QueryTelemetry&) = delete;

  void Succeeded(const Outcome& outcome) {
    const std::size_t rows = outcome.rows.size();
    const std::string_view result = rows == 0 && statement_.empty_is_not_found ? "not_found" : "success";
    Count(result);
    Observe(outcome.done - outcome.sent);
    scope_.Info("Database query executed", {{"query_type", statement_.query_type},
                                            {"duration_ms", Milliseconds(outcome.done - outcome.sent)},
                                            {"wait_ms", Milliseconds(outcome.sent - wanted_)},
                                            {"rows", rows},
                                            {"result", result}});
  }

  Error Failed(const Outcome& outcome) {
    const Failure& failure = *outcome.failure;
    Count("error");
    Observe(outcome.done - outcome.sent);
    Error error = ToError(failure);
    const bool said_by_server = !failure.sqlstate.empty();
    if (said_by_server) scope_.Set({"db.response.status_code", failure.sqlstate});
    scope_.Fail(said_by_server ? failure.sqlstate : error.type(), failure.reason);
    scope_.Error("Database query failed", {{"query_type", statement_.query_type},
                                           {"error", error.type()},
                                           {"sqlstate", failure.sqlstate},
                                           {"reason", failure.reason},
                                           {"duration_ms", Milliseconds(outcome.done - outcome.sent)}});
    return error;
  }

  /// There was no connection, so there is no duration.
  Error NeverSent(Error error) {
    Count("error");
    scope_.Fail(error.type(), error.cause());
    const double wait_ms = Milliseconds(Clock::now() - wanted_);
    if (error.type() == "database-pool-exhausted") {
      scope_.Warn("Database connection pool exhausted",
                  {{"query_type", statement_.query_type}, {"reason", error.cause()}, {"wait_ms", wait_ms}});
    } else {
      scope_.Error("Database query failed", {{"query_type", statement_.query_type},
                                             {"error", error.type()},
                                             {"reason", error.cause()},
                                             {"wait_ms", wait_ms}});
    }
    return error;
  }

 private:
  void Cancelled() {
    Count("error");
    scope_.Fail("cancelled", "The request that made this query was given up.");
    const auto now = Clock::now();
    const auto sent = sent_->Get();
    if (sent) {
      Observe(now - *sent);
      scope_.Warn("Database query cancelled",
                  {{"query_type", statement_.query_type}, {"duration_ms", Milliseconds(now - *sent)}});
    } else {
      scope_.Warn("Database query cancelled",
                  {{"query_type", statement_.query_type}, {"wait_ms", Milliseconds(now - wanted_)}});
    }
  }
  void Count(std::string_view result) {
    over_ = true;
    queries_.With({statement_.query_type, result}).Increment();
  }
  void Observe(Clock::duration duration) {
    durations_.With({statement_.query_type}).Observe(duration, scope_.exemplar());
  }

  Scope scope_;
  const Statement& statement_;
  metrics::Family<metrics::Counter>& queries_;
  metrics::Family<metrics::Histogram>& durations_;
  const std::shared_ptr<const SentAt> sent_;
  const Clock::time_point wanted_ = Clock::now();
  bool over_ = false;
};

}  // namespace

Pool::Pool(Config config, const Telemetry& telemetry)
    : impl_(std::make_unique<Impl>(std::move(config), telemetry)) {}

Pool::~Pool() { Close(); }

void Pool::Announce(const Statement& statement) {
  impl_->queries.With({statement.query_type, "success"});
  impl_->queries.With({statement.query_type, "error"});
  if (statement.empty_is_not_found) impl_->queries.With({statement.query_type, "not_found"});
  impl_->durations.With({statement.query_type});
}

async::Task<Rows> Pool::Query(const Statement& statement, std::vector<std::string> parameters, Scope& scope) {
  Impl& impl = *impl_;
  const auto sent = std::make_shared<SentAt>();
  QueryTelemetry query(scope, impl.config, statement, impl.queries, impl.durations, sent);
  const Waiting waiting = scope.WaitAt(impl.wait_point);
  const auto start = Clock::now();
  Job job(impl.connections, impl.config, statement, std::move(parameters), scope.deadline(), sent);
  const Deadline start_by = job.start_by();
  std::function<Outcome(std::stop_token)> work = std::move(job);
  Outcome outcome;
  try {
    outcome = co_await impl.threads.Run(scope.loop(), std::move(work), start_by);
  } catch (const async::BlockingPool::NotRun& not_run) {
    const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
    outcome.refusal = impl.connections.NoConnection(
        not_run.refusal == async::BlockingPool::Refusal::kQueueFull
            ? fmt::format("{} queries wait already", impl.config.max_waiting)
            : fmt::format("none of {} became free in {}ms", impl.config.pool_size, waited.count()));
  }
  if (outcome.refusal) throw query.NeverSent(*outcome.refusal);
  if (outcome.failure) throw query.Failed(outcome);
  query.Succeeded(outcome);
  co_return std::move(outcome.rows);
}

std::optional<std::string> Pool::Unready() const { return impl_->connections.Unready(); }

void Pool::Close() {
  const std::lock_guard lock(impl_->closing);
  impl_->connections.Close();
  impl_->threads.Stop();
}

}  // namespace obs::postgres
