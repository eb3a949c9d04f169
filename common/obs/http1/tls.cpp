#include "obs/http1/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <stdexcept>

namespace obs::http1 {
namespace {

void Require(bool done, const std::string& file, const char* what) {
  if (done) return;
  ERR_clear_error();
  throw std::runtime_error(file + ": " + what);
}

}  // namespace

TlsContext::TlsContext() : context_(SSL_CTX_new(TLS_client_method())) {
  if (context_ == nullptr) throw std::runtime_error("OpenSSL cannot be initialised");
  SSL_CTX_set_min_proto_version(context_, TLS1_2_VERSION);
  SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_default_verify_paths(context_);
  SSL_CTX_set_mode(context_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

void TlsContext::Trust(const std::string& file) {
  Require(SSL_CTX_load_verify_locations(context_, file.c_str(), nullptr) == 1, file,
          "cannot be read as certificates");
}

void TlsContext::Present(const std::string& certificate_file, const std::string& key_file) {
  Require(SSL_CTX_use_certificate_chain_file(context_, certificate_file.c_str()) == 1, certificate_file,
          "cannot be read as a certificate");
  Require(SSL_CTX_use_PrivateKey_file(context_, key_file.c_str(), SSL_FILETYPE_PEM) == 1, key_file,
          "cannot be read as the certificate's key");
}

}  // namespace obs::http1
