#include "die_client.h"
#include "obs/runtime/service.h"
#include "roller.h"
#include "routes.h"
#include "system.h"

namespace {

constexpr std::uint16_t kPort = 8110;
const obs::config::Program kProgram{"dice-roller", DICEBOX_VERSION, "Rolls dice that die-service specifies."};

struct Config {
  obs::runtime::ServiceConfig service;
  obs::http::ClientConfig die_service;
  std::chrono::microseconds roll_time{0};
};

Config ReadConfig(obs::config::Parser& parser) {
  Config config;
  config.service = obs::runtime::ReadServiceConfig(parser, kProgram, kPort);
  config.die_service.peer = "die-service";
  config.die_service.base_url =
      parser.Url("DIE_SERVICE_URL", "http://localhost:8109", "where die-service is");
  config.die_service.timeout = std::chrono::duration_cast<std::chrono::milliseconds>(
      parser.Duration("DIE_SERVICE_TIMEOUT", std::chrono::seconds(3), std::chrono::milliseconds(1),
                      std::chrono::seconds(8), "for one whole call to it"));
  config.service.http.reserved_descriptors = config.die_service.Descriptors(config.service.http.io_threads);
  config.roll_time =
      parser.Duration("DICE_ROLL_TIME", std::chrono::milliseconds(5), std::chrono::microseconds(0),
                      std::chrono::seconds(5), "how long one roll takes");
  return config;
}

int Run(const Config& config) {
  obs::runtime::Service service(config.service);
  service.AddDependency("die-service", config.die_service.base_url);
  obs::http::Client client(config.die_service, service.telemetry());
  dice_roller::DieClient dice(client, service.telemetry());
  dice_roller::SystemRandom random;
  const dice_roller::Roller roller(service.telemetry(), random, config.roll_time);
  dice_roller::AddRoutes(service.server(), dice, roller);
  return service.Run();
}

}  // namespace

int main(int argc, char** argv) { return obs::config::Main(argc, argv, kProgram, &ReadConfig, &Run); }
