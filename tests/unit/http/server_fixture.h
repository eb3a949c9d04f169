#pragma once

#include <fcntl.h>

#include <memory>
#include <string>

#include "obs/http/server.h"
#include "obs/log/writer.h"
#include "support/eventually.h"
#include "support/exposition.h"
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
        tracer_(provider_.tracer()),
        telemetry_{logger_, registry_, tracer_, provider_.propagator()} {
    config.address = "127.0.0.1";
    server_ = std::make_unique<Server>(config, telemetry_);
  }
  Server& server() { return *server_; }
  const Telemetry& telemetry() const { return telemetry_; }
  metrics::Registry& registry() { return registry_; }
  std::uint16_t port() const { return server_->port(); }
  void DestroyServer() { server_.reset(); }

  /// The sum of all samples of that name whose labels contain `labels`.
  double Metric(std::string_view name, const support::Labels& labels = {}) const {
    return support::Value(support::ParseExposition(registry_.Render(metrics::Format::kText)), name, labels);
  }
  double Rejected(const std::string& reason) const {
    return Metric("http_requests_rejected_total", {{"reason", reason}});
  }
  double Cancelled(const std::string& reason) const {
    return Metric("http_requests_cancelled_total", {{"reason", reason}});
  }
  /// Waits until so many requests are under way.
  bool WaitForRequests(double count) const {
    return support::Eventually([&] { return Metric("http_requests_in_progress") == count; });
  }

  /// Answers `GET route` with `body` at once.
  void Answer(std::string_view route, const std::string& body) {
    server_->Get(route, [body](const Request&, Scope&) {
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
  Telemetry telemetry_;
  std::unique_ptr<Server> server_;
};

}  // namespace obs::http
