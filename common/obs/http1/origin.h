#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "obs/async/loop.h"
#include "obs/async/task.h"
#include "obs/http1/resolver.h"
#include "obs/http1/response_reader.h"
#include "obs/http1/socket.h"
#include "obs/http1/tls.h"

namespace obs::http1 {

/// "http://host:port/path", taken apart.
struct Url {
  bool tls = false;
  std::string host;  ///< an IPv6 address without its brackets
  std::uint16_t port = 80;
  std::string authority;  ///< as the Host header has it
  std::string path;       ///< and query; may be empty
};

/// Nothing when it is no http:// or https:// URL of this form.
std::optional<Url> ParseUrl(std::string_view text);

struct OriginConfig {
  Url url;
  std::chrono::milliseconds connect_timeout{1000};  ///< of one address
  std::size_t max_idle_connections = 64;            ///< kept on each loop
  int send_buffer = 0;    ///< bytes that the kernel takes ahead of the other side; 0 for its own choice
  std::string ca_file{};  ///< certificates (PEM) to trust besides the system's, for https
  std::string certificate_file{};  ///< shown to a server that asks, with its key
  std::string key_file{};
};

/// One other server (RFC 9110, section 4.3.1) as a client sees it: its addresses, and the kept-alive
/// connections to it on each loop. Knows bytes, not requests, and no telemetry. Thread-safe; a call runs on
/// the loop that it is given, and the origin must outlive it.
class Origin {
 public:
  /// Throws std::runtime_error for a certificate or key that cannot be read.
  explicit Origin(OriginConfig config);
  Origin(const Origin&) = delete;
  Origin& operator=(const Origin&) = delete;

  const Url& url() const { return config_.url; }

  /// Sends a request, whose bytes must live so long, and reads what comes into `answer`. Throws SocketError
  /// when it ended before `answer` was complete or refused. With `again`, a request whose kept-alive
  /// connection turns out to be closed is sent once more.
  async::Task<void> Send(async::Loop& loop, std::string_view head, std::string_view body, bool again,
                         ResponseReader& answer, async::Deadline deadline);

 private:
  class IdleConnections;

  IdleConnections& IdleOn(async::Loop& loop);
  async::Task<std::unique_ptr<Socket>> Connect(async::Loop& loop, async::Deadline deadline);
  async::Task<bool> Attempt(async::Loop& loop, std::unique_ptr<Socket>& socket, std::string_view head,
                            std::string_view body, ResponseReader& answer);

  const OriginConfig config_;
  const std::uint64_t idle_key_ = async::Loop::NewLocalKey();
  Resolver resolver_;
  std::unique_ptr<TlsContext> tls_;
};

}  // namespace obs::http1
