#include "die_client.h"
#include "obs/runtime/service.h"
#include "roll_recorder.h"
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
  config.roll_time =
      parser.Duration("DICE_ROLL_TIME", std::chrono::milliseconds(5), std::chrono::microseconds(0),
                      std::chrono::seconds(5), "how long one roll takes");
  return config;
}

int Run(const Config& config) {
  obs::runtime::Service service(config.service);
  service.AddDependency("die-service", config.die_service.base_url);
  obs::http::Client client(config.die_service, service.registry(), service.tracer(), service.propagator());
  dice_roller::DieClient dice(client, service.registry());
  dice_roller::SystemRandom random;
  dice_roller::SystemClock clock;
  const dice_roller::Roller roller(random, clock, config.roll_time);
  dice_roller::RollMetrics metrics(service.registry());
  dice_roller::AddRoutes(service.server(), dice, roller, metrics, service.tracer());
  return service.Run();
}

}  // namespace

int main(int argc, char** argv) { return obs::config::Main(argc, argv, kProgram, &ReadConfig, &Run); }
