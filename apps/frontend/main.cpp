#include "obs/runtime/service.h"
#include "observer.h"
#include "page_routes.h"
#include "routes.h"

namespace {

constexpr std::uint16_t kPort = 8111;
const obs::config::Program kProgram{"frontend", DICEBOX_VERSION,
                                    "The page, and the way in to dice-roller and die-service."};

struct Config {
  obs::runtime::ServiceConfig service;
  obs::http::ClientConfig dice_roller;
  obs::http::ClientConfig die_service;
  obs::http::ClientConfig dice_roller_admin;  ///< where the page reads its buffer and metrics
  obs::http::ClientConfig die_service_admin;
  std::string trace_query_url;
  std::string log_query_url;
  frontend::Links links;
};

std::string ReadLink(obs::config::Parser& parser, std::string_view name, std::string_view help) {
  std::string link = parser.String(name, "", help);
  if (!link.empty() && !link.starts_with("http://") && !link.starts_with("https://")) {
    parser.Fault(name, "must start with http:// or https://, but is '" + link + "'");
  }
  return link;
}

Config ReadConfig(obs::config::Parser& parser) {
  Config config;
  config.service = obs::runtime::ReadServiceConfig(parser, kProgram, kPort);
  config.dice_roller.peer = "dice-roller";
  config.dice_roller.base_url =
      parser.Url("DICE_ROLLER_URL", "http://localhost:8110", "where dice-roller is");
  config.die_service.peer = "die-service";
  config.die_service.base_url =
      parser.Url("DIE_SERVICE_URL", "http://localhost:8109", "where die-service is");
  config.dice_roller_admin = config.dice_roller;
  config.dice_roller_admin.base_url =
      parser.Url("DICE_ROLLER_ADMIN_URL", config.dice_roller.base_url,
                 "where dice-roller serves metrics and traces: its ADMIN_PORT when it has one");
  config.die_service_admin = config.die_service;
  config.die_service_admin.base_url =
      parser.Url("DIE_SERVICE_ADMIN_URL", config.die_service.base_url, "the same of die-service");
  const auto timeout = std::chrono::duration_cast<std::chrono::milliseconds>(
      parser.Duration("UPSTREAM_TIMEOUT", std::chrono::seconds(9), std::chrono::milliseconds(1),
                      std::chrono::seconds(9), "for one whole call to either"));
  config.dice_roller.timeout = timeout;
  config.die_service.timeout = timeout;
  // What the page looks at for itself takes few connections.
  const std::size_t threads = config.service.http.io_threads;
  config.service.http.reserved_descriptors = config.dice_roller.Descriptors(threads) +
                                             config.die_service.Descriptors(threads) +
                                             4 * frontend::kObserverConcurrency * (1 + threads);
  config.trace_query_url =
      parser.Url("TRACE_QUERY_URL", "",
                 "where the page finds traces beside each service's buffer: a Tempo, or what answers alike");
  config.log_query_url = parser.Url(
      "LOG_QUERY_URL", "",
      "where the page finds log lines beside each service's buffer: a Loki, whose streams have the "
      "label service_name");
  config.links.dashboard = ReadLink(parser, "DASHBOARD_LINK", "the page's link to a dashboard");
  config.links.trace = ReadLink(parser, "TRACE_LINK", "the page's link to a trace, {trace_id} for its id");
  config.links.logs =
      ReadLink(parser, "LOGS_LINK", "the page's link to a trace's log lines, {trace_id} for its id");
  return config;
}

int Run(const Config& config) {
  obs::runtime::Service service(config.service);
  service.AddDependency("dice-roller", config.dice_roller.base_url);
  service.AddDependency("die-service", config.die_service.base_url);
  obs::http::Client dice_roller(config.dice_roller, service.telemetry());
  obs::http::Client die_service(config.die_service, service.telemetry());
  frontend::Observer observer(
      {{config.dice_roller_admin, config.die_service_admin}, config.trace_query_url, config.log_query_url},
      service.trace_buffer(), service.telemetry().registry);
  frontend::AddRoutes(service.server(), die_service, dice_roller);
  frontend::AddPageRoutes(service.server(), observer, config.links);
  return service.Run();
}

}  // namespace

int main(int argc, char** argv) { return obs::config::Main(argc, argv, kProgram, &ReadConfig, &Run); }
