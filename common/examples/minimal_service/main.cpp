// A whole service: configuration with --help, JSON logs, metrics with exemplars at /metrics, traces over
// OTLP, /livez, /readyz, and a drain that loses no request. Try:
//
//   GREETING=Hallo PORT=8080 OTEL_TRACES_EXPORTER=console minimal_service
//   curl -i 'localhost:8080/hello/world'

#include "obs/runtime/service.h"

namespace {

const obs::config::Program kProgram{"minimal-service", "1.0.0", "Greets."};

struct Config {
  obs::runtime::ServiceConfig service;
  std::string greeting;
};

Config ReadConfig(obs::config::Parser& parser) {
  Config config;
  config.service = obs::runtime::ReadServiceConfig(parser, kProgram, 8080);
  config.greeting = parser.String("GREETING", "Hello", "what to say");
  return config;
}

int Run(const Config& config) {
  obs::runtime::Service service(config.service);
  auto& greetings = service.telemetry().registry.AddCounter("greetings_total", "Greetings spoken.").With({});

  service.server().Get("/hello/{name}", [&](const obs::http::Request& request, obs::Scope& scope) {
    const std::string name(request.PathParameter("name"));
    if (name == "nobody") {
      throw obs::Error(obs::ErrorCode::kNotFound, "nobody-here", "There is nobody to greet.");
    }
    greetings.Increment();
    scope.Set({"greeting.name", name});
    scope.Info("Greeted", {{"name", name}});
    obs::http::Response response;
    response.content_type = "text/plain";
    response.body = config.greeting + ", " + name + "!\n";
    return response;
  });
  return service.Run();
}

}  // namespace

int main(int argc, char** argv) { return obs::config::Main(argc, argv, kProgram, &ReadConfig, &Run); }
