#include "obs/postgres/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <new>
#include <pqxx/pqxx>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "obs/postgres/notices.h"

namespace obs::postgres {
namespace {

/// As libpq wants a value in a connection string: in quotes, with quotes and backslashes escaped.
std::string Quote(std::string_view value) {
  std::string quoted = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

/// Without a password: libpq finds PGPASSWORD or PGPASSFILE itself. Keepalives end a connection whose host
/// has vanished.
std::string ConnectionString(const Config& config) {
  return fmt::format(
      "host={} port={} dbname={} user={} gssencmode={} connect_timeout={} fallback_application_name={} "
      "keepalives=1 keepalives_idle=10 keepalives_interval=3 keepalives_count=3 tcp_user_timeout=10000 "
      "options='-c statement_timeout={}'",
      Quote(config.host), config.port, Quote(config.database), Quote(config.user),
      Quote(config.gss_encryption), config.connect_timeout.count(), Quote(program_invocation_short_name),
      config.statement_timeout.count());
}

bool InClass(std::string_view sqlstate, std::initializer_list<std::string_view> classes) {
  for (const std::string_view name : classes) {
    if (sqlstate.starts_with(name)) return true;
  }
  return false;
}

/// libpqxx 6 leaves it out of this one error.
std::string SqlstateOf(const pqxx::sql_error& error) {
  if (error.sqlstate().empty() && dynamic_cast<const pqxx::insufficient_privilege*>(&error)) return "42501";
  return error.sqlstate();
}

/// The server's words can quote a value, as in `invalid input syntax for type integer: "x"`; those about the
/// server itself cannot, and those about names cannot as long as there is no parameter.
std::string Reason(const pqxx::sql_error& error, bool has_parameters) {
  const std::string sqlstate = SqlstateOf(error);
  const bool about_server = InClass(sqlstate, {"08", "28", "3D", "53", "57"});
  const bool about_names = InClass(sqlstate, {"0A", "26", "42", "55"});
  if (about_server || (about_names && !has_parameters)) return OneLine(error.what());
  return "the server refused the statement";
}

using Clock = std::chrono::steady_clock;

struct Finish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using RawConnection = std::unique_ptr<PGconn, Finish>;

/// False when nothing came until `deadline`.
bool Await(int socket, short events, Clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd polled{socket, events, 0};
    const int ready = poll(&polled, 1, static_cast<int>(left));
    if (ready > 0 || (ready < 0 && errno != EINTR)) return true;
  }
}

/// As PQconnectdb does, but with `notices` set before the server's first word: once PQconnectdb returns,
/// those of the start are on stderr already.
RawConnection Connect(const Config& config, Notices& notices) {
  RawConnection connection(PQconnectStart(ConnectionString(config).c_str()));
  if (!connection) throw std::bad_alloc();
  PGconn* raw = connection.get();
  notices.Hear(raw);
  std::string late;
  auto deadline = Clock::now() + config.connect_timeout;
  auto state = PQstatus(raw) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (state != PGRES_POLLING_OK && state != PGRES_POLLING_FAILED) {
    if (!Await(PQsocket(raw), state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline)) {
      late = fmt::format("no answer within {} s", config.connect_timeout.count());
      const bool connecting = PQstatus(raw) == CONNECTION_STARTED;
      if (!connecting) throw Failure(Failure::Kind::kBroken, "", late);
      // Then libpq takes this address for one that refuses, and goes on to the host's next one.
      shutdown(PQsocket(raw), SHUT_RDWR);
    }
    state = PQconnectPoll(raw);
    if (PQstatus(raw) == CONNECTION_STARTED) deadline = Clock::now() + config.connect_timeout;
  }
  if (state == PGRES_POLLING_FAILED) {
    std::string reason = OneLine(PQerrorMessage(raw));
    if (!late.empty()) reason += "; " + late;
    throw Failure(Failure::Kind::kBroken, "", std::move(reason));
  }
  return connection;
}

#if PQXX_VERSION_MAJOR >= 7
/// A connection of libpqxx around one of libpq's.
struct PqxxConnection : pqxx::connection {
  explicit PqxxConnection(RawConnection raw) : pqxx::connection(seize_raw_connection(raw.release())) {}
};

void Prepare(PqxxConnection& connection, const std::string& name, const std::string& sql) {
  connection.prepare(name, sql);
}

pqxx::result Execute(pqxx::nontransaction& work, const std::string& name,
                     const std::vector<std::string>& values) {
  pqxx::params parameters;
  parameters.reserve(values.size());
  for (const std::string& value : values) parameters.append(value);
  return work.exec(pqxx::prepped{name}, parameters);
}
#else
/// Hands out a connection that is open already, and never opens another one.
class Adopt final : public pqxx::connectionpolicy {
 public:
  explicit Adopt(RawConnection raw) : pqxx::connectionpolicy(""), raw_(std::move(raw)) {}
  handle do_startconnect(handle open) override {
    if (open == nullptr) open = raw_.release();
    if (open == nullptr) throw pqxx::broken_connection("the connection is closed");
    return open;
  }

 private:
  RawConnection raw_;
};

/// A connection of libpqxx around one of libpq's.
class PqxxConnection final : public pqxx::connection_base {
 public:
  explicit PqxxConnection(RawConnection raw) : connection_base(adopt_), adopt_(std::move(raw)) { init(); }
  ~PqxxConnection() { close(); }

 private:
  Adopt adopt_;
};

void Prepare(PqxxConnection& connection, const std::string& name, const std::string& sql) {
  connection.prepare(name, sql);
  try {
    // Or the server would not hear of it before the statement runs.
    connection.prepare_now(name);
  } catch (...) {
    if (connection.is_open()) connection.unprepare(name);
    throw;
  }
}

pqxx::result Execute(pqxx::nontransaction& work, const std::string& name,
                     const std::vector<std::string>& values) {
  return work.exec_prepared(name, pqxx::prepare::make_dynamic_params(values));
}
#endif

Rows ToRows(const pqxx::result& result) {
  Rows rows;
  rows.reserve(static_cast<std::size_t>(result.size()));
  for (const auto& from : result) {
    Row& row = rows.emplace_back();
    row.reserve(static_cast<std::size_t>(from.size()));
    for (const auto& field : from) {
      if (field.is_null()) {
        row.emplace_back();
      } else {
        row.emplace_back(std::in_place, field.c_str(), static_cast<std::size_t>(field.size()));
      }
    }
  }
  return rows;
}

}  // namespace

struct Connection::Impl {
  Impl(const Config& config, const log::Logger& logger) : notices(config, logger) {
    RawConnection connected = Connect(config, notices);
    raw = connected.get();
    const std::shared_ptr<PGcancel> key(PQgetCancel(raw), &PQfreeCancel);
    if (!key) throw std::bad_alloc();
    cancel = [key] {
      std::array<char, 256> reason{};
      PQcancel(key.get(), reason.data(), static_cast<int>(reason.size()));
    };
    connection.emplace(std::move(connected));
    socket = fcntl(PQsocket(raw), F_DUPFD_CLOEXEC, 0);
  }
  ~Impl() { close(socket); }

  /// `ran_before`: the statement is prepared and has worked on this connection.
  Failure::Kind KindOf(std::string_view sqlstate, bool ran_before) const {
    if (aborted) return Failure::Kind::kSilent;
    if (!connection->is_open() || InClass(sqlstate, {"57P"})) return Failure::Kind::kBroken;
    if (sqlstate == "57014") return Failure::Kind::kCanceled;
    // The schema has changed under its plan, or a pooler gave us another session: a new connection prepares
    // it anew.
    if (ran_before && InClass(sqlstate, {"0A000", "26000"})) return Failure::Kind::kBroken;
    return Failure::Kind::kStatement;
  }

  /// What the exception that is being handled says.
  Failure Caught(bool has_parameters, bool ran_before) const {
    try {
      throw;
    } catch (const Failure& failure) {
      return failure;
    } catch (const pqxx::sql_error& error) {
      const std::string sqlstate = SqlstateOf(error);
      return {KindOf(sqlstate, ran_before), sqlstate, Reason(error, has_parameters)};
#if PQXX_VERSION_MAJOR < 7
      // There these are no sql_error, and say what happened by their type alone.
    } catch (const pqxx::deadlock_detected&) {
      return {KindOf("40P01", ran_before), "40P01", "a deadlock was detected"};
    } catch (const pqxx::serialization_failure&) {
      return {KindOf("40001", ran_before), "40001", "the transaction could not be serialized"};
    } catch (const pqxx::transaction_rollback&) {
      return {KindOf("40000", ran_before), "40000", "the transaction was rolled back"};
#endif
    } catch (const pqxx::failure& error) {
      // libpqxx also takes SQLSTATEs of class 08 for a lost connection, as that of a wrong number of
      // parameters; whether it is lost, the connection itself knows. The words of that class quote no value.
      return {KindOf("", ran_before), "", OneLine(error.what())};
    } catch (const std::exception&) {
      return {KindOf("", ran_before), "", "libpqxx failed"};
    }
  }

  /// Ends a transaction that a statement has left open; false when there is none.
  bool EndTransaction() {
    if (!connection->is_open() || PQtransactionStatus(raw) == PQTRANS_IDLE) return false;
    // With anything else, as a COPY under way, the connection is of no more use.
    usable = PQtransactionStatus(raw) == PQTRANS_INTRANS || PQtransactionStatus(raw) == PQTRANS_INERROR;
    if (!usable) return true;
    PQclear(PQexec(raw, "ROLLBACK"));
    usable = PQtransactionStatus(raw) == PQTRANS_IDLE;
    return true;
  }

  /// Does the work, and makes a Failure of whatever it throws.
  template <typename Work>
  auto Guard(bool has_parameters, bool ran_before, Work work) {
    std::optional<Failure> failure;
    try {
      auto result = work();
      if (!EndTransaction()) return result;
      failure.emplace(Failure::Kind::kStatement, "",
                      usable ? "the statement left a transaction open: it was rolled back"
                             : "the statement left the connection in the middle of something: it was closed");
    } catch (...) {
      failure = Caught(has_parameters, ran_before);
      EndTransaction();
    }
    throw Failure(std::move(*failure));
  }

  /// The name under which the statement is prepared here. Statements are told apart by their text: two may
  /// have one name.
  const std::string& Prepare(const Statement& statement) {
    const auto known = prepared.find(statement.sql);
    if (known != prepared.end()) return known->second;
    std::string name = statement.name;
    while (names.contains(name)) name = fmt::format("{}_{}", statement.name, names.size());
    postgres::Prepare(*connection, name, statement.sql);
    names.insert(name);
    return prepared.emplace(statement.sql, std::move(name)).first->second;
  }

  Notices notices;
  std::optional<PqxxConnection> connection;
  PGconn* raw = nullptr;  ///< of `connection`
  CancelRequest cancel;
  /// A descriptor of our own for the connection's socket: libpq may close its own at any time.
  int socket = -1;
  std::atomic<bool> aborted = false;
  bool usable = true;
  std::unordered_map<std::string, std::string> prepared;  ///< names by text
  std::unordered_set<std::string> names;
  std::unordered_set<std::string> ran;  ///< by text
};

Connection::Connection(const Config& config, const log::Logger& logger) {
  try {
    impl_ = std::make_unique<Impl>(config, logger);
  } catch (const Failure&) {
    throw;
  } catch (const std::exception& error) {
    throw Failure(Failure::Kind::kBroken, "", OneLine(error.what()));
  }
}

Connection::~Connection() = default;

Rows Connection::Run(const Statement& statement, const std::vector<std::string>& parameters,
                     const std::stop_token& stop) {
  // PostgreSQL's text has no NUL, and libpq would take the value only up to there.
  for (const std::string& parameter : parameters) {
    if (parameter.find('\0') != std::string::npos) {
      throw Failure(Failure::Kind::kStatement, "22021", "a parameter holds a NUL");
    }
  }
  impl_->notices.Begin(!parameters.empty());
  const bool ran_before = impl_->ran.contains(statement.sql);
  bool sent = false;
  try {
    return impl_->Guard(!parameters.empty(), ran_before, [&] {
      const std::string& name = impl_->Prepare(statement);
      pqxx::nontransaction work(*impl_->connection);
      // A cancel that came before this would be forgotten by the server.
      if (stop.stop_requested())
        throw Failure(Failure::Kind::kCanceled, "", "it was given up before it was sent");
      sent = true;
      Rows rows = ToRows(Execute(work, name, parameters));
      impl_->ran.insert(statement.sql);
      return rows;
    });
  } catch (Failure& failure) {
    // What the server refused by name did not run either.
    failure.may_have_run = sent && !InClass(failure.sqlstate, {"0A000", "26000"});
    throw;
  }
}

std::optional<std::string> Connection::Run(const std::string& sql) {
  impl_->notices.Begin(false);
  return impl_->Guard(false, false, [&] {
    std::optional<std::string> first;
    pqxx::nontransaction work(*impl_->connection);
    const pqxx::result rows = work.exec(sql);
    if (!rows.empty() && !rows[0][0].is_null()) first = rows[0][0].c_str();
    return first;
  });
}

CancelRequest Connection::cancel_request() const { return impl_->cancel; }

bool Connection::usable() const { return impl_->usable && !impl_->aborted; }

void Connection::Abort() {
  impl_->aborted = true;
  shutdown(impl_->socket, SHUT_RDWR);
}

}  // namespace obs::postgres
