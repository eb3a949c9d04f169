#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "obs/log/logger.h"
#include "obs/postgres/canceller.h"
#include "obs/postgres/pool.h"

namespace obs::postgres {

/// What went wrong on a connection. Holds no secret and nothing that a caller sent, so it may be logged.
struct Failure : std::exception {
  enum class Kind {
    kBroken,     ///< the connection is gone or of no more use; another one may work
    kSilent,     ///< no answer, so Abort() cut the connection
    kCanceled,   ///< the server's statement timeout, or a cancel request
    kStatement,  ///< the server refused the statement, or it left a transaction open
  };

  Failure(Kind kind_, std::string sqlstate_, std::string reason_)
      : kind(kind_), sqlstate(std::move(sqlstate_)), reason(std::move(reason_)) {}
  const char* what() const noexcept override { return reason.c_str(); }

  /// The connection must be thrown away.
  bool fatal() const { return kind == Kind::kBroken || kind == Kind::kSilent; }

  Kind kind;
  std::string sqlstate;      ///< empty when it was not the server that said no
  std::string reason;        ///< one line
  bool may_have_run = true;  ///< the statement was sent; whether it took effect is not known
};

/// One connection. The only place that knows libpqxx; every exception of it becomes a Failure. For one thread
/// at a time, but for Abort() and what cancel_request() gives.
class Connection {
 public:
  /// Connects, for at most config.connect_timeout for each address of the host. The server's notices go to
  /// `logger`.
  Connection(const Config& config, const log::Logger& logger);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Prepares the statement at its first run on this connection. A transaction that it leaves open is rolled
  /// back, and the run fails. Fails as kCanceled when `stop` was requested before it was sent; later, only a
  /// cancel request ends it.
  Rows Run(const Statement& statement, const std::vector<std::string>& parameters,
           const std::stop_token& stop);
  /// Runs a statement without parameters, once and unprepared. Gives the first value of its result, if any.
  std::optional<std::string> Run(const std::string& sql);
  /// Ends whatever runs on this connection when it arrives.
  CancelRequest cancel_request() const;
  /// False when it must be thrown away though it is open: aborted, or in a state that nothing ends.
  bool usable() const;
  /// From any thread: what runs, or runs next, fails as kSilent.
  void Abort();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace obs::postgres
