#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "obs/async/loop.h"

namespace obs::http {

/// An accepted connection's descriptor. Pistache opened it and must close it: that happens when this is
/// destroyed, on the loop's thread.
class AcceptedSocket {
 public:
  class Closer {
   public:
    virtual void Close(int fd) = 0;

   protected:
    ~Closer() = default;
  };

  AcceptedSocket() = default;
  AcceptedSocket(Closer& closer, int fd) : closer_(&closer), fd_(fd) {}
  AcceptedSocket(AcceptedSocket&& other) noexcept
      : closer_(std::exchange(other.closer_, nullptr)), fd_(std::exchange(other.fd_, -1)) {}
  AcceptedSocket& operator=(AcceptedSocket&& other) noexcept {
    if (this != &other) {
      Close();
      closer_ = std::exchange(other.closer_, nullptr);
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~AcceptedSocket() { Close(); }

  int fd() const { return fd_; }
  void Close() {
    if (closer_ != nullptr) std::exchange(closer_, nullptr)->Close(std::exchange(fd_, -1));
  }

 private:
  Closer* closer_ = nullptr;
  int fd_ = -1;
};

/// Hears what Pistache accepts.
class Acceptor {
 public:
  /// On the thread of `loop`, with the address as text. The socket is watched by AcceptedSocket::fd() as soon
  /// as Loop::Watch() is called for it.
  virtual void OnAccept(async::Loop& loop, AcceptedSocket socket, std::string address) = 0;

 protected:
  ~Acceptor() = default;
};

/// Pistache as this library uses it: a thread that accepts connections, and threads whose reactors poll for
/// a Loop each. The one place that knows Pistache and what must be done about its faults; reading, framing
/// and writing are ours, so that nothing of what Pistache does by descriptor number can reach a client.
class PistacheListener {
 public:
  /// Binds. Throws std::exception; `acceptor` must outlive the listener.
  PistacheListener(const std::string& address, std::uint16_t port, std::size_t threads, Acceptor& acceptor);
  /// Stops the loops (Loop::Stop(), each on its own thread) and the threads.
  ~PistacheListener();
  PistacheListener(const PistacheListener&) = delete;
  PistacheListener& operator=(const PistacheListener&) = delete;

  /// Accepts and polls from now on, on threads of its own.
  void Start();
  std::uint16_t port() const;
  /// One a thread.
  const std::vector<async::Loop*>& loops() const;
  /// Stops accepting, which Pistache cannot do. Connections that the kernel has completed are still accepted,
  /// for at most `deadline`; later ones are refused.
  void CloseListeningSocket(std::chrono::milliseconds deadline);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace obs::http
