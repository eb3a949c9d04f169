#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "obs/http/client.h"
#include "support/eventually.h"
#include "support/fake_server.h"
#include "support/scope.h"
#include "support/temporary_file.h"
#include "support/tls_server.h"

namespace obs::http {
namespace {

using std::chrono_literals::operator""ms;
using testing::HasSubstr;

const std::string kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret";

class ClientTls : public testing::Test {
 protected:
  static ClientConfig ConfigFor(const std::string& host, std::uint16_t port, const std::string& ca_file) {
    ClientConfig config;
    config.base_url = "https://" + host + ":" + std::to_string(port);
    config.peer = "upstream";
    config.timeout = support::kPatience;
    config.connect_timeout = support::kPatience;
    config.ca_file = ca_file;
    return config;
  }
  /// The body, or the type of the failure and its cause.
  static std::string Try(Client& client, support::LocalScope& local) {
    try {
      return local.Run(client.Send(ClientRequest("/"), local.scope())).body;
    } catch (const ClientError& error) {
      return error.type() + ": " + error.cause();
    }
  }
  static std::string Try(const ClientConfig& config) {
    support::LocalScope local;
    Client client(config, Telemetry::None());
    return Try(client, local);
  }
};

TEST_F(ClientTls, TrustsAnAuthorityOfItsFile) {
  support::TlsServer server("127.0.0.1", kAnswer);
  const support::TemporaryFile file(server.certificate());
  EXPECT_EQ(Try(ConfigFor("127.0.0.1", server.port(), file.path())), "secret");
}

TEST_F(ClientTls, ChecksTheNameOfItsHost) {
  support::TlsServer server("localhost", kAnswer);
  const support::TemporaryFile file(server.certificate());
  EXPECT_EQ(Try(ConfigFor("localhost", server.port(), file.path())), "secret");
  const std::string refused = Try(ConfigFor("127.0.0.1", server.port(), file.path()));
  EXPECT_THAT(refused, HasSubstr("upstream-invalid: the certificate is not accepted"));
  EXPECT_EQ(server.requests(), 1);
}

TEST_F(ClientTls, RefusesACertificateForAnotherName) {
  support::TlsServer server("elsewhere.example", kAnswer);
  const support::TemporaryFile file(server.certificate());
  for (const auto* host : {"localhost", "127.0.0.1"}) {
    EXPECT_THAT(Try(ConfigFor(host, server.port(), file.path())),
                HasSubstr("the certificate is not accepted"));
  }
  EXPECT_EQ(server.requests(), 0);
}

TEST_F(ClientTls, RefusesAnAuthorityThatItDoesNotTrust) {
  support::TlsServer server("127.0.0.1", kAnswer);
  EXPECT_THAT(Try(ConfigFor("127.0.0.1", server.port(), "")), HasSubstr("the certificate is not accepted"));
  support::TlsServer other("127.0.0.1", kAnswer);
  const support::TemporaryFile file(other.certificate());
  EXPECT_THAT(Try(ConfigFor("127.0.0.1", server.port(), file.path())),
              HasSubstr("the certificate is not accepted"));
  EXPECT_EQ(server.requests(), 0);
}

TEST_F(ClientTls, KeepsItsConnectionAlive) {
  support::TlsServer server("127.0.0.1", kAnswer);
  const support::TemporaryFile file(server.certificate());
  Client client(ConfigFor("127.0.0.1", server.port(), file.path()), Telemetry::None());
  support::LocalScope local;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Try(client, local), "secret");
  EXPECT_EQ(server.requests(), 10);
  EXPECT_EQ(server.handshakes(), 1) << "a handshake costs more than the call";
}

TEST_F(ClientTls, TakesAnAnswerOfManyRecords) {
  const std::string body(500'000, 'x');
  support::TlsServer server(
      "127.0.0.1", "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  const support::TemporaryFile file(server.certificate());
  EXPECT_EQ(Try(ConfigFor("127.0.0.1", server.port(), file.path())), body);
}

TEST_F(ClientTls, RefusesAServiceThatSpeaksNoTls) {
  support::FakeServer server([](const support::FakeRequest&) { return support::FakeReply{}; });
  ClientConfig config = ConfigFor("127.0.0.1", server.port(), "");
  // A server of plain HTTP waits for the end of a head that does not come.
  config.timeout = 300ms;
  EXPECT_THAT(Try(config), HasSubstr("upstream-timeout"));
}

TEST_F(ClientTls, RefusesAFileThatHoldsNoCertificates) {
  const support::TemporaryFile file("no certificate");
  EXPECT_THROW(Client(ConfigFor("127.0.0.1", 1, file.path()), Telemetry::None()), std::runtime_error);
  EXPECT_THROW(Client(ConfigFor("127.0.0.1", 1, "/no/such/file"), Telemetry::None()), std::runtime_error);
}

}  // namespace
}  // namespace obs::http
