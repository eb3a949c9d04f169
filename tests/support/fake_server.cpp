#include "support/fake_server.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace support {
namespace {

bool SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool Receive(int fd, std::string& buffer) {
  std::array<char, 65536> bytes{};
  const ssize_t count = recv(fd, bytes.data(), bytes.size(), 0);
  if (count <= 0) return false;
  buffer.append(bytes.data(), static_cast<std::size_t>(count));
  return true;
}

std::optional<FakeRequest> ReadRequest(int fd, std::string& buffer) {
  std::size_t end;
  while ((end = buffer.find("\r\n\r\n")) == buffer.npos) {
    if (!Receive(fd, buffer)) return std::nullopt;
  }
  FakeRequest request;
  const auto [line, headers] = ParseHead(std::string_view(buffer).substr(0, end));
  const std::size_t space = line.find(' ');
  request.method = line.substr(0, space);
  request.target = line.substr(space + 1, line.rfind(' ') - space - 1);
  request.headers = headers;
  buffer.erase(0, end + 4);
  const std::string text = request.Header("Content-Length");
  std::size_t length = 0;
  std::from_chars(text.data(), text.data() + text.size(), length);
  while (buffer.size() < length) {
    if (!Receive(fd, buffer)) return std::nullopt;
  }
  request.body = buffer.substr(0, length);
  buffer.erase(0, length);
  return request;
}

}  // namespace

FakeServer::FakeServer(std::function<FakeReply(const FakeRequest&)> handler, std::uint16_t port)
    : handler_(std::move(handler)), listener_(BindLoopback(port)), port_(PortOf(listener_)) {
  listen(listener_.get(), SOMAXCONN);
  acceptor_ = std::thread([this] { Accept(); });
}

FakeServer::~FakeServer() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    stop_.notify_all();
    shutdown(listener_.get(), SHUT_RDWR);
  }
  acceptor_.join();
  for (const Connection& connection : connections_) shutdown(connection.socket.get(), SHUT_RDWR);
  for (Connection& connection : connections_) connection.thread.join();
}

std::vector<FakeRequest> FakeServer::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

std::size_t FakeServer::connections() const {
  std::lock_guard lock(mutex_);
  return connections_.size();
}

void FakeServer::Accept() {
  for (;;) {
    Fd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::lock_guard lock(mutex_);
    if (stopping_ || !socket.valid()) return;
    const int fd = socket.get();
    connections_.push_back({std::move(socket), std::thread([this, fd] { Serve(fd); })});
  }
}

void FakeServer::Serve(int fd) {
  std::string buffer;
  while (const std::optional<FakeRequest> request = ReadRequest(fd, buffer)) {
    {
      std::lock_guard lock(mutex_);
      requests_.push_back(*request);
    }
    if (!Answer(fd, handler_(*request))) break;
  }
  // The descriptor stays open until the server ends, so that its number is not used again before the join.
  shutdown(fd, SHUT_RDWR);
}

bool FakeServer::Answer(int fd, const FakeReply& reply) {
  {
    std::unique_lock lock(mutex_);
    const auto stopping = [this] { return stopping_; };
    if (reply.hang) stop_.wait(lock, stopping);
    if (stop_.wait_for(lock, reply.delay, stopping)) return false;
  }
  if (!reply.raw.empty()) return SendAll(fd, reply.raw) && reply.keep;
  return SendAll(fd,
                 "HTTP/1.1 " + std::to_string(reply.status) + " Fake\r\nContent-Type: " + reply.content_type +
                     "\r\nContent-Length: " + std::to_string(reply.body.size()) + "\r\n\r\n" + reply.body);
}

}  // namespace support
