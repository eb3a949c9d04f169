#pragma once

#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "obs/postgres/pool.h"

namespace obs::postgres {

/// What went wrong on a connection. Holds no secret and nothing that a caller sent, so it may be logged.
struct Failure : std::exception {
  enum class Kind {
    kBroken,     ///< the connection is gone or of no more use; another one may work
    kSilent,     ///< no answer, so Abort() cut the connection
    kCanceled,   ///< the server's statement timeout
    kStatement,  ///< the server refused the statement; the connection is fine
  };

  Failure(Kind kind_, std::string sqlstate_, std::string reason_)
      : kind(kind_), sqlstate(std::move(sqlstate_)), reason(std::move(reason_)) {}
  const char* what() const noexcept override { return reason.c_str(); }

  /// The connection must be thrown away.
  bool fatal() const { return kind == Kind::kBroken || kind == Kind::kSilent; }

  Kind kind;
  std::string sqlstate;  ///< empty when it was not the server that said no
  std::string reason;    ///< one line
};

/// One connection. The only place that knows libpqxx; every exception of it becomes a Failure. Not
/// thread-safe but for Abort().
class Connection {
 public:
  /// Connects, for at most config.connect_timeout for each address of the host.
  explicit Connection(const Config& config);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Prepares the statement at its first run on this connection.
  Rows Run(const Statement& statement, const std::vector<std::string>& parameters);
  /// Runs a statement without parameters, once and unprepared. Gives the first value of its result, if any.
  std::optional<std::string> Run(const std::string& sql);
  /// From any thread: what runs, or runs next, fails as kSilent.
  void Abort();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace obs::postgres
