#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

namespace support {

/// An owned file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() { Close(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  void Close();

 private:
  int fd_ = -1;
};

/// A TCP socket bound to 127.0.0.1; port 0 lets the kernel choose.
Fd BindLoopback(std::uint16_t port = 0);
std::uint16_t PortOf(const Fd& socket);
/// Connects to 127.0.0.1; not valid when refused or late.
Fd ConnectLoopback(std::uint16_t port, std::chrono::milliseconds timeout = std::chrono::seconds(5));
/// As ConnectLoopback(), as the client 127.0.0.`client`, with a receive buffer of `receive_buffer` bytes or,
/// for 0, of the kernel's choice.
Fd ConnectLoopbackAs(std::uint8_t client, std::uint16_t port, int receive_buffer = 0,
                     std::chrono::milliseconds timeout = std::chrono::seconds(5));
/// Closes so that the peer is told at once that nothing will be read any more (RST).
void Reset(Fd socket);
/// Waits until `fd` can be read or its peer has gone.
bool WaitReadable(int fd, std::chrono::milliseconds timeout);

/// A port that stays ours while nobody listens on it: connections are refused, the kernel gives it to nobody
/// else, and a server (which sets SO_REUSEADDR) may bind it, stop and bind it again.
class ReservedPort {
 public:
  ReservedPort();
  std::uint16_t port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  Fd socket_;
  std::uint16_t port_;
};

}  // namespace support
