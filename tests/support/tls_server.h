#pragma once

#include <openssl/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "support/socket.h"

namespace support {

/// An HTTPS server on 127.0.0.1 with a certificate that it signs itself, for one connection at a time.
/// Answers every request with the same bytes.
class TlsServer {
 public:
  /// The certificate is for `host`: a name, or an address of IPv4.
  TlsServer(const std::string& host, std::string answer);
  ~TlsServer();
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  std::uint16_t port() const { return port_; }
  /// Talks only to clients that show its own certificate.
  void DemandItsCertificate();
  /// Its certificate and the key of that (PEM).
  const std::string& certificate() const { return certificate_; }
  const std::string& key() const { return key_; }
  int handshakes() const { return handshakes_; }
  int requests() const { return requests_; }

 private:
  void Run();
  void Serve(const Fd& socket);

  const std::string answer_;
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
  std::string certificate_;
  std::string key_;
  Fd listener_;
  std::uint16_t port_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> handshakes_{0};
  std::atomic<int> requests_{0};
  std::thread thread_;
};

}  // namespace support
