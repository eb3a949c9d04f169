#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/http_client.h"
#include "support/socket.h"

namespace support {

struct FakeRequest {
  std::string method;
  std::string target;
  Headers headers;
  std::string body;

  std::string Header(std::string_view name) const { return FindHeader(headers, name); }
};

/// What a FakeServer does with a request.
struct FakeReply {
  int status = 200;
  std::string body = "{}";
  std::string content_type = "application/json";
  std::chrono::milliseconds delay{0};
  bool hang = false;  ///< never answer
  std::string raw{};  ///< these bytes instead of a reply, then close
  bool keep = false;  ///< do not close after `raw`
};

/// An HTTP server on 127.0.0.1 with a thread for each connection, playing a part that answers, delays, breaks
/// or hangs as the test says. Keeps what it was asked.
class FakeServer {
 public:
  /// `handler` is called from several threads; `port` 0 lets the kernel choose.
  explicit FakeServer(std::function<FakeReply(const FakeRequest&)> handler, std::uint16_t port = 0);
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  std::uint16_t port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::vector<FakeRequest> requests() const;
  /// Connections accepted so far.
  std::size_t connections() const;

 private:
  struct Connection {
    Fd socket;
    std::thread thread;
  };
  void Accept();
  void Serve(int fd);
  bool Answer(int fd, const FakeReply& reply);

  std::function<FakeReply(const FakeRequest&)> handler_;
  Fd listener_;
  std::uint16_t port_;
  mutable std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  std::list<Connection> connections_;
  std::vector<FakeRequest> requests_;
  std::thread acceptor_;
};

}  // namespace support
