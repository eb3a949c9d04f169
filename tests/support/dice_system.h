#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/exposition.h"
#include "support/http_client.h"
#include "support/otlp_receiver.h"
#include "support/postgres_server.h"
#include "support/process.h"
#include "support/socket.h"
#include "support/temporary_file.h"

namespace support {

/// fair, risky and extreme as shipped, `broken`, whose every roll fails, and `weighted`, which always
/// gives 6.
extern const std::string_view kTestDice;

/// Where a service's program is.
std::string ProgramPath(const std::string& service);

/// One of the three services as a real process on a port that it keeps over restarts.
class ServiceUnderTest {
 public:
  /// `environment` is what the service gets beside PORT.
  ServiceUnderTest(std::string name, Environment environment);
  /// Stops it if it runs, and fails the test when it does not end with status 0.
  ~ServiceUnderTest();

  const std::string& name() const { return name_; }
  std::uint16_t port() const { return port_.port(); }
  std::string url() const { return port_.url(); }
  Process& process() { return *process_; }
  void Set(const std::string& variable, const std::string& value) { environment_[variable] = value; }

  /// Starts it and waits until it answers; throws when it does not.
  void Start();
  /// Waits until /readyz answers 200; throws when it does not.
  void AwaitReady();
  void StartReady() {
    Start();
    AwaitReady();
  }
  /// SIGTERM; the exit status, or nothing when it did not end in time.
  std::optional<int> Stop();
  /// SIGKILL.
  void Kill();
  bool running() { return process_ && process_->running(); }

  HttpReply Get(std::string_view target, const Headers& headers = {}) const {
    return support::Get(port(), target, headers);
  }
  std::vector<MetricFamily> Metrics() const { return ParseExposition(Get("/metrics").body); }
  double Metric(std::string_view metric, const Labels& labels = {}) const {
    return Value(Metrics(), metric, labels);
  }

 private:
  std::string name_;
  Environment environment_;
  ReservedPort port_;
  std::unique_ptr<Process> process_;
};

/// What every service under test gets: spans at once to `collector_url`, no delay at the end.
Environment CommonEnvironment(const std::string& collector_url);

/// die-service on a file of kTestDice, dice-roller and frontend, and the collector they export to.
struct DiceSystem {
  DiceSystem();

  /// die-service reads that server instead, as the role that may only read.
  void UsePostgres(const PostgresServer& server);
  /// Starts all three, each when the one it calls is ready.
  void Start();
  std::vector<ServiceUnderTest*> services() { return {&die_service, &dice_roller, &frontend}; }

  OtlpReceiver collector;
  TemporaryFile dice;
  ServiceUnderTest die_service;
  ServiceUnderTest dice_roller;
  ServiceUnderTest frontend;
};

}  // namespace support
