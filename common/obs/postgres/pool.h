#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "obs/async/task.h"
#include "obs/error/error.h"
#include "obs/scope/scope.h"

namespace obs::config {
class Parser;
}

namespace obs::postgres {

struct Config {
  std::string host = "localhost";  ///< PGHOST
  std::uint16_t port = 5432;       ///< PGPORT
  std::string database;            ///< PGDATABASE
  std::string user;                ///< PGUSER; the password stays with libpq: PGPASSWORD or PGPASSFILE
  /// PGGSSENCMODE: libpq would look for Kerberos before each connection, and load it for that.
  std::string gss_encryption = "disable";
  std::size_t pool_size = 8;  ///< DATABASE_POOL_SIZE; connections, and a thread for each
  std::size_t max_waiting =
      1000;  ///< DATABASE_POOL_QUEUE; queries that wait for a connection, more fail at once
  std::chrono::milliseconds acquire_timeout{1000};    ///< DATABASE_POOL_TIMEOUT; of a query's wait
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

/// One prepared statement. All members are literals of the program: nothing a caller sent ever gets in here,
/// and each text that is given once stays prepared on every connection. It must leave the session as it was:
/// no SET, LISTEN or advisory lock. Transactions are not for Pool::Query(): one that a statement leaves open
/// is rolled back.
struct Statement {
  std::string name;                 ///< of the prepared statement
  std::string sql;                  ///< with $1, $2, …; safe to show in spans and logs
  std::string query_type;           ///< label of the database_* metrics
  std::string operation;            ///< "SELECT"
  std::string collection;           ///< "dice"
  bool empty_is_not_found = false;  ///< no row counts as result="not_found", else as "success"
  /// It may be sent again when the connection breaks while it runs. False for a SELECT whose functions write.
  bool idempotent = operation == "SELECT";
};

/// Rows as text, as PostgreSQL's text format gives them; NULL is nothing.
using Row = std::vector<std::optional<std::string>>;
using Rows = std::vector<Row>;

/// A bounded pool of connections to one database, kept open by a thread of its own (reconnect with
/// exponential backoff and jitter). Queries run on as many threads as there are connections; requests wait
/// for them on their loops, without a thread.
///
/// Emits the metrics database_queries_total{query_type,result}, database_query_duration_seconds{query_type},
/// database_connection_pool_size, database_connection_pool_available and requests_waiting{for="database"};
/// the log events "Database connection pool established", "Database connection failed", "Database connection
/// lost", "Database connection pool exhausted", "Database connection pool closed", "Database notice" (what
/// PostgreSQL reports besides results), "Database query executed", "Database query failed" and "Database
/// query cancelled"; and a client span `SELECT dice` for each query. Values bound to parameters never appear
/// in any of them.
///
/// Lifetimes: what the Telemetry refers to must outlive the pool, and the pool must outlive every coroutine
/// that awaits a Query(), cancelled or not, so destroy it after the loops have stopped. A query that was
/// cancelled may go on for a moment in the pool's threads, with copies of its own.
class Pool {
 public:
  /// Returns at once; connects in the background. `telemetry` is for metrics and for the pool's own log
  /// lines; spans and lines of a query are those of its scope.
  Pool(Config config, const Telemetry& telemetry);
  /// As Close().
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Makes the series of a statement exist at zero, so that rate() counts the first query of it too.
  /// Thread-safe.
  void Announce(const Statement& statement);

  /// Runs a statement and gives its rows. On the loop of `scope`, any number at once, from any loop.
  /// `statement` and `scope` must outlive the task.
  ///
  /// Throws obs::Error kUnavailable with type `database-unavailable` (no connection, or it broke),
  /// `database-pool-exhausted` (none was free within `acquire_timeout`, or `max_waiting` queries wait
  /// already) or `database-timeout` (the server ended the statement after `statement_timeout` or at the
  /// scope's deadline, or was silent half a second longer), or kInternal `database-error` (the server refused
  /// it, as for a wrong number of parameters). When the connection breaks, an idempotent statement is tried
  /// once more on another one; others only if they were not sent yet.
  ///
  /// Destroying the task takes the query out of the queue, or cancels it in PostgreSQL. It then counts as
  /// result="error", and its span fails as `cancelled`.
  async::Task<Rows> Query(const Statement& statement, std::vector<std::string> parameters, Scope& scope);

  /// Nothing when the last check passed, else the reason. Never blocks. Thread-safe.
  std::optional<std::string> Unready() const;

  /// Closes every connection and ends every thread. Queries under way finish first; those that wait and later
  /// ones fail as `database-unavailable`. Blocks for `statement_timeout`, `connect_timeout` and two seconds
  /// at most, so not for a loop's thread. Thread-safe; a second call does nothing.
  void Close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace obs::postgres
