#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>

#include "file_store.h"
#include "obs/postgres/pool.h"
#include "obs/runtime/service.h"
#include "postgres_store.h"
#include "routes.h"

namespace {

constexpr std::uint16_t kPort = 8109;
const obs::config::Program kProgram{"die-service", DICEBOX_VERSION, "Serves the specifications of dice."};

struct Config {
  obs::runtime::ServiceConfig service;
  std::string store;
  std::string file;
  obs::postgres::Config postgres;
};

Config ReadConfig(obs::config::Parser& parser) {
  Config config;
  config.service = obs::runtime::ReadServiceConfig(parser, kProgram, kPort);
  config.store = parser.Choice("DIE_STORE", "file", {"file", "postgres"}, "where the dice are");
  config.file =
      parser.String("DIE_SPECIFICATIONS_FILE", "die_specifications.json", "the dice, for DIE_STORE=file");
  config.postgres = obs::postgres::ReadConfig(parser, config.store == "postgres");
  return config;
}

int Run(const Config& config) {
  obs::runtime::Service service(config.service);
  die_service::DieMetrics metrics(service.telemetry().registry);
  std::optional<obs::postgres::Pool> pool;
  std::unique_ptr<die_service::Store> store;
  if (config.store == "postgres") {
    auto postgres = config.postgres;
    postgres.check_sql = die_service::PostgresStore::kCheck;
    postgres.on_check = [&metrics](const std::string& count) {
      metrics.loaded.Set(std::atof(count.c_str()));
    };
    pool.emplace(std::move(postgres), service.telemetry());
    store = std::make_unique<die_service::PostgresStore>(*pool);
    service.AddReadiness("database", [&pool] { return pool->Unready(); });
    service.OnStop([&pool] { pool->Close(); });
  } else {
    auto file_store = std::make_unique<die_service::FileStore>(config.file);
    metrics.loaded.Set(static_cast<double>(file_store->size()));
    service.telemetry().logger.Info("Die specifications loaded",
                                    {{"file", config.file}, {"count", file_store->size()}});
    store = std::move(file_store);
  }
  die_service::AddRoutes(service.server(), *store, metrics);
  return service.Run();
}

}  // namespace

int main(int argc, char** argv) { return obs::config::Main(argc, argv, kProgram, &ReadConfig, &Run); }
