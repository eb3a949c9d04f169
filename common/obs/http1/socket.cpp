#include "obs/http1/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace obs::http1 {
namespace {

/// Pistache picks the thread of a client by its descriptor's number, so ours are kept out of the low numbers,
/// and clients spread evenly over the threads.
int MoveHigh(int fd) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return fd;
  const int high = ::fcntl(fd, F_DUPFD_CLOEXEC, static_cast<int>(limit.rlim_cur / 2));
  if (high < 0) return fd;
  ::close(fd);
  return high;
}

std::string ErrnoText(int error) { return std::strerror(error); }

std::string TlsText(const char* what) {
  const unsigned long code = ERR_get_error();
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  ERR_clear_error();
  return std::string(what) + ": " + (reason != nullptr ? reason : "the connection ended");
}

}  // namespace

Socket::Socket(async::Loop& loop, const sockaddr& address, std::size_t address_size) : loop_(loop) {
  fd_ = ::socket(address.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) throw SocketError(SocketError::Kind::kRefused, "no socket: " + ErrnoText(errno));
  fd_ = MoveHigh(fd_);
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (::connect(fd_, &address, static_cast<socklen_t>(address_size)) != 0 && errno != EINPROGRESS) {
    const int error = errno;
    ::close(fd_);
    throw SocketError(SocketError::Kind::kRefused, ErrnoText(error));
  }
  try {
    token_ = loop_.Watch(fd_, *this);
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

Socket::~Socket() {
  if (ssl_ != nullptr) SSL_free(ssl_);
  loop_.Forget(token_);
  ::close(fd_);
}

void Socket::SetSendBuffer(int bytes) {
  // If it fails, sending only takes longer.
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

/// Most calls end long before their deadline, so the timer is left as it is when it fires early enough.
void Socket::SetDeadline(async::Deadline deadline) {
  deadline_ = deadline;
  late_ = false;
  if (deadline == async::Deadline::max() || (armed() && wakes_at_ <= deadline)) return;
  wakes_at_ = deadline;
  Arm(loop_, deadline);
}

void Socket::OnTimer() {
  wakes_at_ = async::Deadline::max();
  if (async::Clock::now() < deadline_) {
    SetDeadline(deadline_);
    return;
  }
  late_ = true;
  if (awaiting_) std::exchange(awaiting_, {}).resume();
}

void Socket::OnReady(const async::Readiness& ready) {
  readable_ = readable_ || ready.readable || ready.closed || ready.broken;
  writable_ = writable_ || ready.writable || ready.broken;
  closed_ = closed_ || ready.closed || ready.broken;
  if (awaiting_) {
    if (awaits_write_ ? writable_ : readable_) std::exchange(awaiting_, {}).resume();
  } else if (idle_listener_ && Stale()) {
    idle_listener_();
  }
}

/// What can be read may be nothing: a read that filled its buffer did not see the end, and TLS sends records
/// of its own, such as tickets.
bool Socket::Stale() {
  if (closed_ || !readable_) return closed_;
  char byte = 0;
  bool nothing = false;
  if (ssl_ != nullptr) {
    std::size_t size = 0;
    const int result = SSL_peek_ex(ssl_, &byte, 1, &size);
    nothing = result != 1 && SSL_get_error(ssl_, result) == SSL_ERROR_WANT_READ;
    ERR_clear_error();
  } else {
    nothing = ::recv(fd_, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
  }
  readable_ = !nothing;
  return readable_;
}

bool Socket::Ready::await_ready() const {
  return socket_.late_ || (write_ ? socket_.writable_ : socket_.readable_);
}

void Socket::Ready::await_suspend(std::coroutine_handle<> awaiting) {
  socket_.awaiting_ = awaiting;
  socket_.awaits_write_ = write_;
}

void Socket::Ready::await_resume() const {
  if (socket_.late_) throw SocketError(SocketError::Kind::kTimeout, "the deadline has passed");
}

Socket::Ready::~Ready() { socket_.awaiting_ = {}; }

async::Task<void> Socket::Connect() {
  co_await Writable();
  int error = 0;
  socklen_t size = sizeof(error);
  ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) throw SocketError(SocketError::Kind::kRefused, ErrnoText(error));
}

bool Socket::WantsWrite(int result, const char* what) {
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      readable_ = false;
      return false;
    case SSL_ERROR_WANT_WRITE:
      writable_ = false;
      return true;
    default:
      throw SocketError(SocketError::Kind::kBroken, TlsText(what));
  }
}

async::Task<void> Socket::StartTls(const TlsContext& context, const std::string& host) {
  ssl_ = SSL_new(context.get());
  if (ssl_ == nullptr || SSL_set_fd(ssl_, fd_) != 1) {
    throw SocketError(SocketError::Kind::kBroken, "OpenSSL cannot be used");
  }
  in6_addr numeric{};
  const bool is_address =
      ::inet_pton(AF_INET, host.c_str(), &numeric) == 1 || ::inet_pton(AF_INET6, host.c_str(), &numeric) == 1;
  if (is_address) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), host.c_str());
  } else {
    SSL_set1_host(ssl_, host.c_str());
    SSL_set_tlsext_host_name(ssl_, host.c_str());
  }
  for (;;) {
    const int result = SSL_connect(ssl_);
    if (result == 1) co_return;
    const long verified = SSL_get_verify_result(ssl_);
    if (verified != X509_V_OK) {
      ERR_clear_error();
      throw SocketError(SocketError::Kind::kBroken, std::string("the certificate is not accepted: ") +
                                                        X509_verify_cert_error_string(verified));
    }
    if (WantsWrite(result, "TLS handshake")) {
      co_await Writable();
    } else {
      co_await Readable();
    }
  }
}

ssize_t Socket::TrySend(std::string_view bytes) {
  for (;;) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) return sent;
    if (errno == EINTR) continue;
    if (errno != EAGAIN) throw SocketError(SocketError::Kind::kBroken, ErrnoText(errno));
    writable_ = false;
    return kWouldBlock;
  }
}

ssize_t Socket::TryReceive(char* buffer, std::size_t size) {
  for (;;) {
    const ssize_t received = ::recv(fd_, buffer, size, 0);
    if (received >= 0) {
      // A short read has emptied the socket, but for the end of the stream.
      if (received > 0 && static_cast<std::size_t>(received) < size && !closed_) readable_ = false;
      return received;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) throw SocketError(SocketError::Kind::kBroken, ErrnoText(errno));
    readable_ = false;
    return kWouldBlock;
  }
}

async::Task<void> Socket::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    if (ssl_ == nullptr) {
      const ssize_t sent = TrySend(bytes);
      if (sent == kWouldBlock) {
        co_await Writable();
      } else {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      }
      continue;
    }
    std::size_t sent = 0;
    const int result = SSL_write_ex(ssl_, bytes.data(), bytes.size(), &sent);
    if (result == 1) {
      bytes.remove_prefix(sent);
    } else if (WantsWrite(result, "TLS")) {
      co_await Writable();
    } else {
      co_await Readable();
    }
  }
}

async::Task<std::size_t> Socket::Receive(char* buffer, std::size_t size) {
  for (;;) {
    if (ssl_ == nullptr) {
      co_await Readable();
      const ssize_t received = TryReceive(buffer, size);
      if (received != kWouldBlock) co_return static_cast<std::size_t>(received);
      continue;
    }
    std::size_t received = 0;
    const int result = SSL_read_ex(ssl_, buffer, size, &received);
    if (result == 1) co_return received;
    if (SSL_get_error(ssl_, result) == SSL_ERROR_ZERO_RETURN) co_return 0;
    if (WantsWrite(result, "TLS")) {
      co_await Writable();
    } else {
      co_await Readable();
    }
  }
}

}  // namespace obs::http1
