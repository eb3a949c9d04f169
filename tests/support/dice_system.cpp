#include "support/dice_system.h"

#include <gtest/gtest.h>

#include <csignal>
#include <stdexcept>
#include <utility>

#include "support/paths.h"

namespace support {

const std::string_view kTestDice = R"({
  "fair": {"faces": [1, 2, 3, 4, 5, 6], "error_rate": 0},
  "risky": {"faces": [2, 3, 4, 5, 6, 7], "error_rate": 0.1},
  "extreme": {"faces": [0, 0, 6, 6, 6, 6], "error_rate": 0.5},
  "broken": {"faces": [1, 2], "error_rate": 1},
  "weighted": {"faces": [1, 6], "error_rate": 0, "probabilities": {"1": 0, "6": 1}}
})";

std::string ProgramPath(const std::string& service) { return BuildPath("apps/" + service + "/" + service); }

ServiceUnderTest::ServiceUnderTest(std::string name, Environment environment)
    : name_(std::move(name)), environment_(std::move(environment)) {
  environment_["PORT"] = std::to_string(port());
}

ServiceUnderTest::~ServiceUnderTest() {
  if (!running()) return;
  EXPECT_EQ(Stop(), 0) << name_ << " did not end cleanly: " << process_->Errors();
}

void ServiceUnderTest::Start() {
  process_ = std::make_unique<Process>(std::vector{ProgramPath(name_)}, environment_);
  if (!Eventually([this] { return !process_->running() || Get("/livez").status != 0; })) {
    throw std::runtime_error(name_ + " does not answer");
  }
  if (!process_->running()) throw std::runtime_error(name_ + " ended at its start: " + process_->Errors());
}

void ServiceUnderTest::AwaitReady() {
  if (!Eventually([this] { return Get("/readyz").status == 200; })) {
    throw std::runtime_error(name_ + " is not ready: " + Get("/readyz").body);
  }
}

std::optional<int> ServiceUnderTest::Stop() {
  process_->Signal(SIGTERM);
  return process_->Wait();
}

void ServiceUnderTest::Kill() {
  process_->Signal(SIGKILL);
  process_->Wait();
}

Environment CommonEnvironment(const std::string& collector_url) {
  return {
      {"OTEL_EXPORTER_OTLP_ENDPOINT", collector_url},
      {"OTEL_BSP_SCHEDULE_DELAY", "50"},
      {"DRAIN_DELAY", "0"},
  };
}

DiceSystem::DiceSystem()
    : dice(kTestDice),
      die_service("die-service", CommonEnvironment(collector.url())),
      dice_roller("dice-roller", CommonEnvironment(collector.url())),
      frontend("frontend", CommonEnvironment(collector.url())) {
  die_service.Set("DIE_STORE", "file");
  die_service.Set("DIE_SPECIFICATIONS_FILE", dice.path());
  dice_roller.Set("DIE_SERVICE_URL", die_service.url());
  frontend.Set("DIE_SERVICE_URL", die_service.url());
  frontend.Set("DICE_ROLLER_URL", dice_roller.url());
}

void DiceSystem::UsePostgres(const PostgresServer& server) {
  die_service.Set("DIE_STORE", "postgres");
  for (const auto& [name, value] : server.Reader()) die_service.Set(name, value);
}

void DiceSystem::Start() {
  for (ServiceUnderTest* service : services()) service->StartReady();
}

}  // namespace support
