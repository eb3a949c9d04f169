#pragma once

#include <string>

struct ssl_ctx_st;

namespace obs::http1 {

/// How a client speaks TLS: which authorities it trusts, and how it shows who it is. Thread-safe once it is
/// set up.
class TlsContext {
 public:
  /// TLS 1.2 or newer, and the authorities that the system trusts. Throws std::runtime_error.
  TlsContext();
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  /// Trusts those in a file of certificates (PEM) besides. Throws std::runtime_error with the file's name.
  void Trust(const std::string& file);
  /// Shows this certificate, with those between it and its authority, to servers that ask (both files PEM).
  /// Throws std::runtime_error with the file's name.
  void Present(const std::string& certificate_file, const std::string& key_file);

  ssl_ctx_st* get() const { return context_; }

 private:
  ssl_ctx_st* context_;
};

}  // namespace obs::http1
