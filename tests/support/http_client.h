#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/json.h"
#include "support/socket.h"

namespace support {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// The first header of that name, without regard to case; empty when there is none.
std::string FindHeader(const Headers& headers, std::string_view name);
/// Splits "GET / HTTP/1.1\r\nName: value\r\n…" into its first line and headers.
std::pair<std::string, Headers> ParseHead(std::string_view head);

struct HttpReply {
  int status = 0;
  Headers headers;
  std::string body;

  std::string Header(std::string_view name) const { return FindHeader(headers, name); }
  Json json() const { return Json::Parse(body); }
};

/// One connection to 127.0.0.1, for tests that care about bytes and about when a connection ends.
class HttpConnection {
 public:
  explicit HttpConnection(std::uint16_t port) : socket_(ConnectLoopback(port)) {}
  explicit HttpConnection(Fd socket) : socket_(std::move(socket)) {}

  bool connected() const { return socket_.valid(); }
  /// False when the peer has gone.
  bool Send(std::string_view bytes);
  /// Sends a request without a body.
  bool Request(std::string_view method, std::string_view target, const Headers& headers = {});
  /// Tells the peer that nothing more will be sent.
  void EndInput();
  /// The next complete reply; nothing when the connection ended or `timeout` passed before its last byte.
  /// `head`: the reply is to a HEAD request and has no body.
  std::optional<HttpReply> Read(std::chrono::milliseconds timeout = std::chrono::seconds(15),
                                bool head = false);
  /// The peer closes within `timeout` without another byte.
  bool ClosedByPeer(std::chrono::milliseconds timeout);
  /// Gives the socket away, for an end that is no plain close.
  Fd Release() { return std::move(socket_); }
  /// Bytes that came and belong to no reply read so far.
  const std::string& unread() const { return buffer_; }

 private:
  bool Fill(std::chrono::steady_clock::time_point deadline);

  Fd socket_;
  std::string buffer_;
};

/// One request on a connection of its own. Status 0: no complete reply came.
HttpReply Fetch(std::uint16_t port, std::string_view method, std::string_view target,
                const Headers& headers = {}, std::chrono::milliseconds timeout = std::chrono::seconds(15));
inline HttpReply Get(std::uint16_t port, std::string_view target, const Headers& headers = {},
                     std::chrono::milliseconds timeout = std::chrono::seconds(15)) {
  return Fetch(port, "GET", target, headers, timeout);
}

}  // namespace support
