#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "support/process.h"
#include "support/socket.h"

namespace support {

/// What a finished program printed on standard output and standard error, in the order it did.
struct Finished {
  int status = 0;
  std::string output;
};

/// Runs a program to its end; status 124 when it had to be killed.
Finished RunToEnd(const std::vector<std::string>& command, const Environment& environment);

/// A throw-away PostgreSQL with the roles of migrations/roles: Debian's programs, a temporary folder, a port
/// of its own on 127.0.0.1 that it keeps over restarts. Passwords are asked for on TCP; the test itself is
/// superuser through the socket in that folder. When the test is root the server runs as the user postgres.
/// Use it from the test's main thread; what cannot be done throws std::runtime_error with the program's
/// output.
class PostgresServer {
 public:
  enum class StopMode {
    kFast,       ///< sessions are told goodbye
    kImmediate,  ///< as in a crash: no goodbye, recovery at the next start
  };

  /// Starts it, with the database and the roles and no migration applied.
  PostgresServer();
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  void Start();
  void Stop(StopMode mode = StopMode::kFast);
  void Restart(StopMode mode = StopMode::kFast) {
    Stop(mode);
    Start();
  }
  /// Every process of the server stands still: connections are accepted by the kernel and nobody answers.
  void Freeze();
  void Thaw();

  /// migrations/apply as the owner.
  void Migrate();
  /// What the statements print as superuser, unaligned and without headers, without the last line end.
  std::string Psql(const std::string& sql) const;
  /// Ends every session of `user`, as an administrator would; the number of sessions.
  int TerminateSessions(const std::string& user) const;
  /// The server's own log since its start.
  std::string Log() const { return process_->Errors(); }

  std::uint16_t port() const { return port_.port(); }
  /// PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD, ready for libpq in a child process.
  Environment Owner() const { return Login("diceowner"); }
  Environment Reader() const { return Login("diceuser"); }
  Environment Exporter() const { return Login("exporter"); }
  /// Of a superuser, through the socket, on the database `postgres`.
  Environment Superuser() const;

  /// What the roles log in with, also when they are made anew.
  static std::string Password(const std::string& user) { return "secret-of-" + user; }
  /// DICEOWNER_PASSWORD and its siblings, for migrations/roles.
  static Environment Passwords();

 private:
  Environment Login(const std::string& user) const;
  std::vector<pid_t> Processes() const;
  bool AcceptsConnections() const;

  ReservedPort port_;
  std::string folder_;
  std::unique_ptr<Process> process_;
  bool frozen_ = false;
};

}  // namespace support
