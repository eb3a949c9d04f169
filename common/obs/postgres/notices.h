#pragma once

#include <libpq-fe.h>

#include <cstddef>
#include <string>

#include "obs/log/logger.h"
#include "obs/postgres/pool.h"

namespace obs::postgres {

/// One line of bounded length: what the server and libpq say can span several.
std::string OneLine(std::string_view message);

/// Makes log lines of a connection's notices, which libpq prints on stderr unless it is told otherwise. The
/// words of a notice can quote a parameter, so they are logged only while there is none. For the thread that
/// uses the connection.
class Notices {
 public:
  Notices(const Config& config, const log::Logger& logger);
  Notices(const Notices&) = delete;
  Notices& operator=(const Notices&) = delete;

  /// Takes what `connection` reports from now on; must outlive it.
  void Hear(PGconn* connection) { PQsetNoticeReceiver(connection, &Notices::Receive, this); }
  /// A statement begins; it may write a few lines of its own.
  void Begin(bool has_parameters);

 private:
  static void Receive(void* self, const PGresult* notice) noexcept;
  void Write(const PGresult* notice) const;

  const std::string host_;
  const std::string database_;
  const log::Logger logger_;
  bool has_parameters_ = false;
  std::size_t lines_ = 0;  ///< since the latest Begin()
};

}  // namespace obs::postgres
