#include "support/http_client.h"

#include <strings.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace support {
namespace {

constexpr std::string_view kEndOfHead = "\r\n\r\n";

std::size_t ToNumber(std::string_view text) {
  std::size_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

std::string FindHeader(const Headers& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (key.size() == name.size() && strncasecmp(key.data(), name.data(), name.size()) == 0) return value;
  }
  return {};
}

std::pair<std::string, Headers> ParseHead(std::string_view head) {
  std::pair<std::string, Headers> result;
  bool first = true;
  while (!head.empty()) {
    const std::size_t end = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(end + 2, head.size()));
    if (first) {
      result.first = line;
      first = false;
    } else if (const std::size_t colon = line.find(':'); colon != line.npos) {
      const std::size_t value = std::min(line.find_first_not_of(' ', colon + 1), line.size());
      result.second.emplace_back(line.substr(0, colon), line.substr(value));
    }
  }
  return result;
}

bool HttpConnection::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void HttpConnection::EndInput() { shutdown(socket_.get(), SHUT_WR); }

bool HttpConnection::Request(std::string_view method, std::string_view target, const Headers& headers) {
  std::string request = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n";
  for (const auto& [name, value] : headers) request += name + ": " + value + "\r\n";
  return Send(request + "\r\n");
}

bool HttpConnection::Fill(std::chrono::steady_clock::time_point deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  if (left.count() < 0 || !WaitReadable(socket_.get(), left)) return false;
  std::array<char, 65536> bytes{};
  const ssize_t count = recv(socket_.get(), bytes.data(), bytes.size(), 0);
  if (count <= 0) return false;
  buffer_.append(bytes.data(), static_cast<std::size_t>(count));
  return true;
}

std::optional<HttpReply> HttpConnection::Read(std::chrono::milliseconds timeout, bool head) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::size_t end;
  while ((end = buffer_.find(kEndOfHead)) == buffer_.npos) {
    if (!Fill(deadline)) return std::nullopt;
  }
  HttpReply reply;
  const auto [line, headers] = ParseHead(std::string_view(buffer_).substr(0, end));
  reply.status =
      static_cast<int>(ToNumber(std::string_view(line).substr(std::min(line.size(), line.find(' ') + 1))));
  reply.headers = headers;
  buffer_.erase(0, end + kEndOfHead.size());
  const std::size_t length = head ? 0 : ToNumber(reply.Header("Content-Length"));
  while (buffer_.size() < length) {
    if (!Fill(deadline)) return std::nullopt;
  }
  reply.body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  return reply;
}

bool HttpConnection::ClosedByPeer(std::chrono::milliseconds timeout) {
  if (!WaitReadable(socket_.get(), timeout)) return false;
  char byte;
  return recv(socket_.get(), &byte, 1, MSG_PEEK) <= 0;
}

HttpReply Fetch(std::uint16_t port, std::string_view method, std::string_view target, const Headers& headers,
                std::chrono::milliseconds timeout) {
  HttpConnection connection(port);
  if (!connection.connected() || !connection.Request(method, target, headers)) return {};
  return connection.Read(timeout, method == "HEAD").value_or(HttpReply{});
}

}  // namespace support
