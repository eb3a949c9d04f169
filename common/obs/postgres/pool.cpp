#include "obs/postgres/pool.h"

#include <chrono>
#include <cmath>
#include <string_view>

#include "obs/postgres/connection.h"
#include "obs/postgres/keeper.h"

namespace obs::postgres {
namespace {

using Clock = std::chrono::steady_clock;

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
  Impl(Config config_, const log::Logger& logger, metrics::Registry& registry, const trace::Tracer& tracer_)
      : config(std::move(config_)),
        tracer(tracer_),
        queries(registry.AddCounter("database_queries_total", "Queries by type and result.",
                                    {"query_type", "result"})),
        durations(registry.AddHistogram("database_query_duration_seconds",
                                        "Time from sending a query to its last row.", {"query_type"},
                                        metrics::DatabaseDurationBuckets())),
        keeper(config, logger,
               registry.AddGauge("database_connection_pool_size", "Open connections.").With({}),
               registry.AddGauge("database_connection_pool_available", "Open connections that are idle.")
                   .With({})) {}

  trace::Span StartSpan(const Statement& statement, const trace::Context& parent) const;

  const Config config;
  const trace::Tracer tracer;
  metrics::Family<metrics::Counter>& queries;
  metrics::Family<metrics::Histogram>& durations;
  Keeper keeper;
};

trace::Span Pool::Impl::StartSpan(const Statement& statement, const trace::Context& parent) const {
  trace::Span span =
      tracer.Start(statement.operation + ' ' + statement.collection, trace::Kind::kClient, parent,
                   {{"db.system.name", "postgresql"},
                    {"db.namespace", config.database},
                    {"db.query.text", statement.sql},
                    {"db.operation.name", statement.operation},
                    {"db.collection.name", statement.collection},
                    {"server.address", config.host},
                    {"server.port", config.port}});
  if (config.old_attributes && span.recording()) {
    span.Set({"db.system", "postgresql"});
    span.Set({"db.name", config.database});
    span.Set({"db.statement", statement.sql});
    span.Set({"db.user", config.user});
  }
  return span;
}

namespace {

/// One query as telemetry sees it: span, counter, histogram and log line agree with each other.
class Observed {
 public:
  Observed(trace::Span span, const Statement& statement, metrics::Family<metrics::Counter>& queries,
           metrics::Family<metrics::Histogram>& durations, const log::Logger& logger)
      : span_(std::move(span)),
        statement_(statement),
        queries_(queries),
        durations_(durations),
        logger_(span_.correlation().valid() ? logger.With(span_.correlation()) : logger) {}

  /// A connection is there and the query goes out.
  void Sent() { sent_ = Clock::now(); }

  void Succeeded(std::size_t rows) {
    const std::string_view result = rows == 0 && statement_.empty_is_not_found ? "not_found" : "success";
    const auto duration = Count(result);
    logger_.Info("Database query executed", {{"query_type", statement_.query_type},
                                             {"duration_ms", Milliseconds(duration)},
                                             {"wait_ms", Milliseconds(sent_ - wanted_)},
                                             {"rows", rows},
                                             {"result", result}});
  }

  Error Failed(const Failure& failure) {
    const auto duration = Count("error");
    Error error = ToError(failure);
    const bool said_by_server = !failure.sqlstate.empty();
    if (said_by_server) span_.Set({"db.response.status_code", failure.sqlstate});
    span_.Fail(said_by_server ? failure.sqlstate : error.type(), failure.reason);
    logger_.Error("Database query failed", {{"query_type", statement_.query_type},
                                            {"error", error.type()},
                                            {"sqlstate", failure.sqlstate},
                                            {"reason", failure.reason},
                                            {"duration_ms", Milliseconds(duration)}});
    return error;
  }

  /// No connection was to be had, so there is no duration.
  void NeverSent(const Error& error) {
    queries_.With({statement_.query_type, "error"}).Increment();
    span_.Fail(error.type(), error.cause());
    if (error.type() == "database-pool-exhausted") {
      logger_.Warn("Database connection pool exhausted", {{"query_type", statement_.query_type},
                                                          {"reason", error.cause()},
                                                          {"wait_ms", Milliseconds(Clock::now() - wanted_)}});
    } else {
      logger_.Error("Database query failed", {{"query_type", statement_.query_type},
                                              {"error", error.type()},
                                              {"reason", error.cause()},
                                              {"wait_ms", Milliseconds(Clock::now() - wanted_)}});
    }
  }

 private:
  Clock::duration Count(std::string_view result) {
    const auto duration = Clock::now() - sent_;
    queries_.With({statement_.query_type, result}).Increment();
    durations_.With({statement_.query_type}).Observe(duration, span_.exemplar());
    return duration;
  }

  trace::Span span_;
  const Statement& statement_;
  metrics::Family<metrics::Counter>& queries_;
  metrics::Family<metrics::Histogram>& durations_;
  const log::Logger logger_;
  const Clock::time_point wanted_ = Clock::now();
  Clock::time_point sent_ = wanted_;
};

Keeper::Lease Acquire(Keeper& keeper, Observed& query) {
  try {
    return keeper.Acquire();
  } catch (const Error& error) {
    query.NeverSent(error);
    throw;
  }
}

}  // namespace

Pool::Pool(Config config, const log::Logger& logger, metrics::Registry& registry, const trace::Tracer& tracer)
    : impl_(std::make_unique<Impl>(std::move(config), logger, registry, tracer)) {}

Pool::~Pool() = default;

void Pool::Announce(const Statement& statement) {
  impl_->queries.With({statement.query_type, "success"});
  impl_->queries.With({statement.query_type, "error"});
  if (statement.empty_is_not_found) impl_->queries.With({statement.query_type, "not_found"});
  impl_->durations.With({statement.query_type});
}

Rows Pool::Query(const Statement& statement, const std::vector<std::string>& parameters,
                 const trace::Context& parent, const log::Logger& logger) {
  Observed query(impl_->StartSpan(statement, parent), statement, impl_->queries, impl_->durations, logger);
  for (bool again = false;; again = true) {
    Keeper::Lease lease = Acquire(impl_->keeper, query);
    query.Sent();
    try {
      Rows rows = lease->connection.Run(statement, parameters);
      lease.reset();
      query.Succeeded(rows.size());
      return rows;
    } catch (const Failure& failure) {
      if (failure.fatal()) impl_->keeper.Discard(std::move(lease), failure);
      lease.reset();
      if (failure.kind != Failure::Kind::kBroken || again) throw query.Failed(failure);
    }
  }
}

std::optional<std::string> Pool::Unready() const { return impl_->keeper.Unready(); }

void Pool::Close() { impl_->keeper.Close(); }

}  // namespace obs::postgres
