// A service outside this repository, built on the installed library alone.

#include <obs/postgres/pool.h>
#include <obs/runtime/service.h>

namespace {

const obs::config::Program kProgram{"consumer", "1.0.0", "Proves that the installed library is complete."};

struct Config {
  obs::runtime::ServiceConfig service;
  obs::postgres::Config postgres;
};

Config ReadConfig(obs::config::Parser& parser) {
  return {obs::runtime::ReadServiceConfig(parser, kProgram, 8080), obs::postgres::ReadConfig(parser)};
}

int Run(const Config& config) {
  obs::runtime::Service service(config.service);
  // Nothing listens there: a pool without its database must not keep the service from starting.
  obs::postgres::Pool pool(config.postgres, service.telemetry());
  service.OnStop([&pool] { pool.Close(); });
  service.server().Get("/hello", [](const obs::http::Request&, obs::Scope&) {
    obs::http::Response response;
    response.body = R"({"hello":"world"})";
    return response;
  });
  return service.Run();
}

}  // namespace

int main(int argc, char** argv) { return obs::config::Main(argc, argv, kProgram, &ReadConfig, &Run); }
