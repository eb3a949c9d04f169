#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "obs/error/error.h"
#include "obs/log/logger.h"
#include "obs/metrics/registry.h"
#include "obs/trace/tracer.h"

namespace obs::config {
class Parser;
}

namespace obs::postgres {

struct Config {
  std::string host = "localhost";  ///< PGHOST
  std::uint16_t port = 5432;       ///< PGPORT
  std::string database;            ///< PGDATABASE
  std::string user;                ///< PGUSER; the password stays with libpq: PGPASSWORD or PGPASSFILE
  std::size_t pool_size = 8;       ///< DATABASE_POOL_SIZE
  std::chrono::milliseconds acquire_timeout{1000};    ///< DATABASE_POOL_TIMEOUT
  std::chrono::milliseconds statement_timeout{2000};  ///< DATABASE_STATEMENT_TIMEOUT
  std::chrono::seconds connect_timeout{2};            ///< DATABASE_CONNECT_TIMEOUT
  std::chrono::milliseconds check_interval{1000};     ///< DATABASE_CHECK_INTERVAL
  /// OTEL_SEMCONV_STABILITY_OPT_IN: emit db.system, db.name, db.statement, db.user beside the stable
  /// attributes unless it contains `database`.
  bool old_attributes = true;
  /// Run on an idle connection at each check; readiness is its success. Set by the service, not the
  /// environment.
  std::string check_sql = "SELECT 1";
  /// Called with the first value of `check_sql`'s result, as text, on a thread of the pool: must neither
  /// block nor throw.
  std::function<void(const std::string& value)> on_check;
};

/// With `required`, PGHOST, PGDATABASE and PGUSER must be set; without, a service that can do without a
/// database still lists the variables in its `--help`.
Config ReadConfig(config::Parser& parser, bool required = false);

/// One prepared statement. All members are literals of the program: nothing a caller sent ever gets in here.
struct Statement {
  std::string name;                 ///< of the prepared statement
  std::string sql;                  ///< with $1, $2, …; safe to show in spans and logs
  std::string query_type;           ///< label of the database_* metrics
  std::string operation;            ///< "SELECT"
  std::string collection;           ///< "dice"
  bool empty_is_not_found = false;  ///< no row counts as result="not_found", else as "success"
};

/// Rows as text, as PostgreSQL's text format gives them; NULL is nothing.
using Row = std::vector<std::optional<std::string>>;
using Rows = std::vector<Row>;

/// A bounded pool of connections to one database, kept open by a thread of its own (reconnect with
/// exponential backoff and jitter), so that a request never waits for a connect longer than
/// `acquire_timeout`.
///
/// Emits the metrics database_queries_total{query_type,result}, database_query_duration_seconds{query_type},
/// database_connection_pool_size and database_connection_pool_available; the log events "Database connection
/// pool established", "Database connection failed", "Database connection lost", "Database connection pool
/// exhausted", "Database connection pool closed", "Database query executed" and "Database query failed"; and
/// a client span `SELECT dice` for each query. Values bound to parameters never appear in any of them.
/// Thread-safe.
class Pool {
 public:
  /// Returns at once; connects in the background. `logger`, `registry` and `tracer` must outlive the pool.
  Pool(Config config, const log::Logger& logger, metrics::Registry& registry, const trace::Tracer& tracer);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Makes the series of a statement exist at zero, so that rate() counts the first query of it too.
  void Announce(const Statement& statement);

  /// Runs a read. A connection that turns out to be broken is replaced and the statement is tried once more,
  /// so statements must be idempotent. `logger` speaks for the calling span. Throws obs::Error kUnavailable
  /// with type `database-unavailable` (no connection), `database-pool-exhausted` (none became free in time),
  /// `database-timeout` (the server ended the statement after `statement_timeout`, or was silent half a
  /// second longer), or kInternal `database-error` (the server refused it).
  Rows Query(const Statement& statement, const std::vector<std::string>& parameters,
             const trace::Context& parent, const log::Logger& logger);

  /// Nothing when the last check passed, else the reason. Never blocks.
  std::optional<std::string> Unready() const;

  /// Closes every connection; queries under way finish first, later ones fail.
  void Close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace obs::postgres
