#include "support/tls_server.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <stdexcept>

namespace support {
namespace {

using Key = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;
using Certificate = std::unique_ptr<X509, void (*)(X509*)>;

Certificate Sign(EVP_PKEY* key, const std::string& host) {
  Certificate certificate(X509_new(), X509_free);
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME* name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1, -1,
                             0);
  X509_set_issuer_name(certificate.get(), name);
  in_addr numeric{};
  const std::string kind = ::inet_pton(AF_INET, host.c_str(), &numeric) == 1 ? "IP:" : "DNS:";
  for (const auto& [extension, value] : {std::pair<int, std::string>(NID_subject_alt_name, kind + host),
                                         {NID_basic_constraints, "critical,CA:TRUE"}}) {
    X509_EXTENSION* made = X509V3_EXT_conf_nid(nullptr, nullptr, extension, value.c_str());
    X509_add_ext(certificate.get(), made, -1);
    X509_EXTENSION_free(made);
  }
  X509_sign(certificate.get(), key, EVP_sha256());
  return certificate;
}

/// What `write` puts into a BIO.
template <typename Write>
std::string ToPem(Write write) {
  const std::unique_ptr<BIO, int (*)(BIO*)> memory(BIO_new(BIO_s_mem()), BIO_free);
  write(memory.get());
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

}  // namespace

TlsServer::TlsServer(const std::string& host, std::string answer)
    : answer_(std::move(answer)),
      context_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free),
      listener_(BindLoopback()),
      port_(PortOf(listener_)) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to clients that have gone
  const Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const Certificate certificate = Sign(key.get(), host);
  if (SSL_CTX_use_certificate(context_.get(), certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context_.get(), key.get()) != 1) {
    throw std::runtime_error("no certificate could be made");
  }
  certificate_ = ToPem([&](BIO* to) { PEM_write_bio_X509(to, certificate.get()); });
  key_ =
      ToPem([&](BIO* to) { PEM_write_bio_PrivateKey(to, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
  ::listen(listener_.get(), 16);
  thread_ = std::thread([this] { Run(); });
}

void TlsServer::DemandItsCertificate() {
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), SSL_CTX_get0_certificate(context_.get()));
  SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
}

TlsServer::~TlsServer() {
  stopping_ = true;
  ::shutdown(listener_.get(), SHUT_RDWR);
  thread_.join();
}

void TlsServer::Run() {
  while (!stopping_) {
    const Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (socket.valid()) Serve(socket);
  }
}

void TlsServer::Serve(const Fd& socket) {
  const std::unique_ptr<SSL, void (*)(SSL*)> ssl(SSL_new(context_.get()), SSL_free);
  SSL_set_fd(ssl.get(), socket.get());
  if (SSL_accept(ssl.get()) != 1) {
    ERR_clear_error();
    return;
  }
  ++handshakes_;
  std::string received;
  while (!stopping_) {
    // Looks at its own end between the pieces, because a client may keep the connection for long.
    if (SSL_pending(ssl.get()) == 0 && !WaitReadable(socket.get(), std::chrono::milliseconds(20))) continue;
    std::array<char, 4096> buffer{};
    const int size = SSL_read(ssl.get(), buffer.data(), static_cast<int>(buffer.size()));
    if (size <= 0) break;
    received.append(buffer.data(), static_cast<std::size_t>(size));
    for (std::size_t end = 0; (end = received.find("\r\n\r\n")) != std::string::npos;) {
      received.erase(0, end + 4);
      ++requests_;
      SSL_write(ssl.get(), answer_.data(), static_cast<int>(answer_.size()));
    }
  }
  SSL_shutdown(ssl.get());
  ERR_clear_error();
}

}  // namespace support
