#pragma once

#include <fcntl.h>

#include <memory>
#include <string>

#include "obs/http/server.h"
#include "obs/log/writer.h"
#include "support/socket.h"

namespace obs::http {

/// A server on a port of its own, without traces, its log thrown away.
class ServerFixture {
 public:
  explicit ServerFixture(ServerConfig config = {})
      : null_(::open("/dev/null", O_WRONLY | O_CLOEXEC)),
        writer_(null_.get()),
        logger_(writer_, "test", log::Level::kInfo),
        provider_(TraceConfig(), registry_, logger_),
        tracer_(provider_.tracer()) {
    config.address = "127.0.0.1";
    server_ = std::make_unique<Server>(config, logger_, registry_, tracer_, provider_.propagator());
  }
  Server& server() { return *server_; }
  metrics::Registry& registry() { return registry_; }
  const trace::Tracer& tracer() const { return tracer_; }
  const trace::Propagator& propagator() const { return provider_.propagator(); }
  std::uint16_t port() const { return server_->port(); }

  /// Answers with `body` on an I/O thread.
  void HandleInline(std::string_view route, const std::string& body) {
    server_->Handle(Method::kGet, route, Execution::kInline, [body](const Request&, Exchange&) {
      Response response;
      response.content_type = "text/plain";
      response.body = body;
      return response;
    });
  }

 private:
  static trace::Config TraceConfig() {
    trace::Config config;
    config.service_name = "test";
    config.exporter = "none";
    return config;
  }

  support::Fd null_;
  log::Writer writer_;
  log::Logger logger_;
  metrics::Registry registry_;
  trace::Provider provider_;
  trace::Tracer tracer_;
  std::unique_ptr<Server> server_;
};

}  // namespace obs::http
