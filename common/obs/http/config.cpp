#include "obs/config/config.h"

#include "obs/http/server.h"

namespace obs::http {

ServerConfig ReadServerConfig(config::Parser& parser, std::uint16_t default_port) {
  using std::chrono::milliseconds;
  ServerConfig config;
  const auto size = [&parser](std::string_view name, std::size_t fallback, std::int64_t min, std::int64_t max,
                              std::string_view help) {
    return static_cast<std::size_t>(
        parser.Integer(name, static_cast<std::int64_t>(fallback), min, max, help));
  };
  const auto timeout = [&parser](std::string_view name, milliseconds fallback, std::string_view help) {
    return std::chrono::duration_cast<milliseconds>(
        parser.Duration(name, fallback, milliseconds(1), std::chrono::hours(1), help));
  };
  config.address =
      parser.String("HTTP_ADDRESS", config.address, "address to listen on; [::] is IPv6 and IPv4");
  config.port = parser.Port("PORT", default_port, "port to listen on; 0 lets the kernel choose");
  config.io_threads = size("HTTP_IO_THREADS", config.io_threads, 1, 64, "threads that serve requests");
  config.max_connections =
      size("HTTP_MAX_CONNECTIONS", config.max_connections, 1, 100000, "open connections");
  config.max_connections_per_address =
      size("HTTP_MAX_CONNECTIONS_PER_ADDRESS", config.max_connections_per_address, 0, 100000,
           "open connections of one client; 0 is three quarters of HTTP_MAX_CONNECTIONS");
  config.max_target_bytes =
      size("HTTP_MAX_TARGET_BYTES", config.max_target_bytes, 64, 1 << 20, "path and query");
  config.max_header_bytes =
      size("HTTP_MAX_HEADER_BYTES", config.max_header_bytes, 256, 1 << 20, "request line and headers");
  config.max_body_bytes = size("HTTP_MAX_BODY_BYTES", config.max_body_bytes, 0, 1 << 30, "request body");
  config.max_pending_bytes = size("HTTP_MAX_PENDING_BYTES", config.max_pending_bytes, 1 << 16, 1 << 30,
                                  "of replies that clients are slow to read, all together");
  config.header_timeout = timeout("HTTP_HEADER_TIMEOUT", config.header_timeout, "first byte to last header");
  config.body_timeout = timeout("HTTP_BODY_TIMEOUT", config.body_timeout,
                                "last header to end of body, and for a client to read its reply");
  config.idle_timeout = timeout("HTTP_IDLE_TIMEOUT", config.idle_timeout, "between requests of a connection");
  config.request_timeout = timeout("HTTP_REQUEST_TIMEOUT", config.request_timeout,
                                   "for a request to be answered; then it is cancelled");
  return config;
}

}  // namespace obs::http
