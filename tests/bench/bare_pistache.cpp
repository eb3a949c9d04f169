// The least that Pistache can do: one fixed JSON answer to everything, through its own parser and writer,
// with no routing, telemetry or guard. ci/bench holds die-service against it: bare_pistache PORT BODY

#include <pistache/endpoint.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

constexpr int kThreads = 2;  // as many as die-service has I/O threads

class Hello : public Pistache::Http::Handler {
 public:
  HTTP_PROTOTYPE(Hello)

  explicit Hello(std::string body) : body_(std::move(body)) {}

  void onRequest(const Pistache::Http::Request&, Pistache::Http::ResponseWriter response) override {
    using Pistache::Http::Header::Connection;
    // Pistache closes after a request without a Connection header; every peer here keeps the connection.
    response.headers().remove<Connection>();
    response.headers().add<Connection>(Pistache::Http::ConnectionControl::KeepAlive);
    response.headers().add<Pistache::Http::Header::ContentType>(MIME(Application, Json));
    response.send(Pistache::Http::Code::Ok, body_);
  }

 private:
  std::string body_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: bare_pistache PORT BODY\n");
    return 2;
  }
  const int port = std::atoi(argv[1]);
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);

  using Pistache::Tcp::Options;
  Pistache::Http::Endpoint endpoint(
      Pistache::Address(Pistache::Ipv4::loopback(), Pistache::Port(static_cast<std::uint16_t>(port))));
  endpoint.init(
      Pistache::Http::Endpoint::options().threads(kThreads).flags(Options::ReuseAddr | Options::NoDelay));
  endpoint.setHandler(Pistache::Http::make_handler<Hello>(argv[2]));
  endpoint.serveThreaded();
  int signal = 0;
  sigwait(&stop, &signal);
  endpoint.shutdown();
  return 0;
}
