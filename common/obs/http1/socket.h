#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "obs/async/loop.h"
#include "obs/async/task.h"
#include "obs/http1/tls.h"

struct sockaddr;
struct ssl_st;

namespace obs::http1 {

/// Why a connection to another service could not be made or used.
struct SocketError : std::exception {
  enum class Kind { kRefused, kTimeout, kBroken };
  SocketError(Kind kind_, std::string reason_) : kind(kind_), reason(std::move(reason_)) {}
  const char* what() const noexcept override { return reason.c_str(); }
  Kind kind;
  std::string reason;  ///< one line
};

/// A connection to another service on a loop: waits by co_await, under one deadline at a time. For one
/// coroutine at a time.
class Socket final : private async::Source, private async::Timer {
 public:
  /// Opens a socket of the address's family. Throws SocketError.
  Socket(async::Loop& loop, const sockaddr& address, std::size_t address_size);
  ~Socket() override;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  /// Asks the kernel for room for so many bytes that are sent and not yet taken by the other side.
  void SetSendBuffer(int bytes);
  /// What waits longer than this throws SocketError kTimeout.
  void SetDeadline(async::Deadline deadline);
  /// Waits until the connection stands. Throws SocketError.
  async::Task<void> Connect();
  /// Sets up TLS on a standing connection; the certificate must be for `host`. Throws SocketError.
  async::Task<void> StartTls(const TlsContext& context, const std::string& host);
  /// Sends all of `bytes`, which must live so long. Throws SocketError.
  async::Task<void> Send(std::string_view bytes);
  /// Some bytes into `buffer`; 0 at the end of the stream. Throws SocketError.
  async::Task<std::size_t> Receive(char* buffer, std::size_t size);

  /// Sends or receives what is possible at once; kWouldBlock when nothing is. Without TLS, for speed.
  static constexpr ssize_t kWouldBlock = -1;
  ssize_t TrySend(std::string_view bytes);
  ssize_t TryReceive(char* buffer, std::size_t size);
  bool tls() const { return ssl_ != nullptr; }

  /// The other side has closed, or sent what nobody asked for, while the connection was idle.
  bool Stale();
  /// Called when something happens that nobody waits for.
  void SetIdleListener(std::function<void()> listener) { idle_listener_ = std::move(listener); }

  /// Waits until the socket may be read, or written.
  class Ready {
   public:
    Ready(Socket& socket, bool write) : socket_(socket), write_(write) {}
    ~Ready();
    Ready(const Ready&) = delete;
    Ready& operator=(const Ready&) = delete;
    bool await_ready() const;
    void await_suspend(std::coroutine_handle<> awaiting);
    void await_resume() const;

   private:
    Socket& socket_;
    const bool write_;
  };
  Ready Readable() { return Ready(*this, false); }
  Ready Writable() { return Ready(*this, true); }

 private:
  void OnReady(const async::Readiness& ready) override;
  void OnTimer() override;
  /// What a TLS call that gave `result` waits for; throws when it has failed.
  bool WantsWrite(int result, const char* what);

  async::Loop& loop_;
  int fd_ = -1;
  async::Loop::Token token_ = 0;
  ssl_st* ssl_ = nullptr;
  bool readable_ = false;
  bool writable_ = false;
  bool closed_ = false;
  bool late_ = false;
  async::Deadline wakes_at_ = async::Deadline::max();
  async::Deadline deadline_ = async::Deadline::max();
  std::coroutine_handle<> awaiting_;
  bool awaits_write_ = false;
  std::function<void()> idle_listener_;
};

}  // namespace obs::http1
