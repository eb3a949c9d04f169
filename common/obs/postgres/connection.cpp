#include "obs/postgres/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <pqxx/pqxx>
#include <string_view>
#include <unordered_set>

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

/// No password: libpq finds PGPASSWORD or PGPASSFILE itself. Keepalives end a connection whose host has
/// vanished.
std::string ConnectionString(const Config& config) {
  return fmt::format(
      "host={} port={} dbname={} user={} connect_timeout={} fallback_application_name={} keepalives=1 "
      "keepalives_idle=10 keepalives_interval=3 keepalives_count=3 tcp_user_timeout=10000 "
      "options='-c statement_timeout={}'",
      Quote(config.host), config.port, Quote(config.database), Quote(config.user),
      config.connect_timeout.count(), Quote(program_invocation_short_name), config.statement_timeout.count());
}

/// One line of bounded length: what the server and libpq say can span several.
std::string OneLine(std::string_view message) {
  constexpr std::size_t kLongest = 500;
  std::string line;
  for (const char c : message.substr(0, kLongest)) {
    const bool blank = c == '\n' || c == '\t' || c == ' ';
    if (!blank) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  if (line.ends_with(' ')) line.pop_back();
  return line;
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

#if PQXX_VERSION_MAJOR >= 7
pqxx::result Execute(pqxx::nontransaction& work, const std::string& name,
                     const std::vector<std::string>& values) {
  pqxx::params parameters;
  parameters.reserve(values.size());
  for (const std::string& value : values) parameters.append(value);
  return work.exec(pqxx::prepped{name}, parameters);
}

/// libpq's own habit is to print notices on stderr.
struct Silence {
  explicit Silence(pqxx::connection& connection) {
    connection.set_notice_handler([](pqxx::zview) {});
  }
};
#else
pqxx::result Execute(pqxx::nontransaction& work, const std::string& name,
                     const std::vector<std::string>& values) {
  return work.exec_prepared(name, pqxx::prepare::make_dynamic_params(values));
}

using Silence = pqxx::quiet_errorhandler;
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
  explicit Impl(const Config& config)
      : connection(ConnectionString(config)),
        silence(connection),
        socket(fcntl(connection.sock(), F_DUPFD_CLOEXEC, 0)) {}
  ~Impl() { close(socket); }

  /// `ran_before`: the statement is prepared and has worked on this connection.
  Failure::Kind KindOf(const std::string& sqlstate, bool ran_before) const {
    if (aborted) return Failure::Kind::kSilent;
    if (!connection.is_open() || InClass(sqlstate, {"08", "57P"})) return Failure::Kind::kBroken;
    if (sqlstate == "57014") return Failure::Kind::kCanceled;
    // The schema has changed under its plan, or a pooler gave us another session: a new connection prepares
    // it anew.
    if (ran_before && InClass(sqlstate, {"0A000", "26000"})) return Failure::Kind::kBroken;
    return Failure::Kind::kStatement;
  }

  /// Does the work, and makes a Failure of whatever it throws.
  template <typename Work>
  auto Guard(bool has_parameters, bool ran_before, Work work) {
    try {
      return work();
    } catch (const pqxx::sql_error& error) {
      const std::string sqlstate = SqlstateOf(error);
      throw Failure(KindOf(sqlstate, ran_before), sqlstate, Reason(error, has_parameters));
    } catch (const pqxx::failure& error) {
      throw Failure(Lost(), "", OneLine(error.what()));
    } catch (const std::exception&) {
      throw Failure(Lost(), "", "libpqxx failed");
    }
  }

  Failure::Kind Lost() const { return aborted ? Failure::Kind::kSilent : Failure::Kind::kBroken; }

  pqxx::connection connection;
  Silence silence;
  /// A descriptor of our own for the connection's socket: libpq may close its own at any time.
  int socket;
  std::atomic<bool> aborted = false;
  std::unordered_set<std::string> prepared;
  std::unordered_set<std::string> ran;
};

Connection::Connection(const Config& config) {
  try {
    impl_ = std::make_unique<Impl>(config);
  } catch (const pqxx::sql_error& error) {
    throw Failure(Failure::Kind::kBroken, SqlstateOf(error), OneLine(error.what()));
  } catch (const std::exception& error) {
    throw Failure(Failure::Kind::kBroken, "", OneLine(error.what()));
  }
}

Connection::~Connection() = default;

Rows Connection::Run(const Statement& statement, const std::vector<std::string>& parameters) {
  // PostgreSQL's text has no NUL, and libpq would take the value only up to there.
  for (const std::string& parameter : parameters) {
    if (parameter.find('\0') != std::string::npos) {
      throw Failure(Failure::Kind::kStatement, "22021", "a parameter holds a NUL");
    }
  }
  return impl_->Guard(!parameters.empty(), impl_->ran.contains(statement.name), [&] {
    if (!impl_->prepared.contains(statement.name)) {
      impl_->connection.prepare(statement.name, statement.sql);
      impl_->prepared.insert(statement.name);
    }
    pqxx::nontransaction work(impl_->connection);
    Rows rows = ToRows(Execute(work, statement.name, parameters));
    impl_->ran.insert(statement.name);
    return rows;
  });
}

std::optional<std::string> Connection::Run(const std::string& sql) {
  std::optional<std::string> first;
  impl_->Guard(false, false, [&] {
    pqxx::nontransaction work(impl_->connection);
    const pqxx::result rows = work.exec(sql);
    if (!rows.empty() && !rows[0][0].is_null()) first = rows[0][0].c_str();
  });
  return first;
}

void Connection::Abort() {
  impl_->aborted = true;
  shutdown(impl_->socket, SHUT_RDWR);
}

}  // namespace obs::postgres
