#include "obs/runtime/dependency.h"

#include <fmt/format.h>

#include <algorithm>

namespace obs::runtime {
namespace {

constexpr std::chrono::milliseconds kInterval{100};
constexpr std::chrono::milliseconds kTimeout{1000};

async::Task<std::string> Ask(http::Client& client, Scope& scope) {
  try {
    const auto response = co_await client.Send(http::ClientRequest("/readyz"), scope);
    if (response.status == 200) co_return std::string();
    co_return fmt::format("is not ready: it answered {}", response.status);
  } catch (const Error& error) {
    co_return fmt::format("cannot be reached: {}", error.cause());
  }
}

}  // namespace

Dependencies::Dependencies(const log::Logger& logger) : logger_(logger) {}

void Dependencies::Add(std::string part, std::string base_url) {
  http::ClientConfig config;
  config.base_url = std::move(base_url);
  config.peer = part;
  config.connect_timeout = kTimeout;
  config.timeout = kTimeout;
  // These calls are nobody's request: they stay out of the service's metrics and traces.
  auto client = std::make_unique<http::Client>(std::move(config), Telemetry::None());
  dependencies_.push_back({std::move(part), std::move(client)});
}

void Dependencies::Start(http::Server& server) {
  if (dependencies_.empty()) return;
  server.Spawn([this](async::Loop& loop) { return Watch(loop); });
}

std::optional<std::string> Dependencies::Unready(const std::string& part) const {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(dependencies_.begin(), dependencies_.end(),
                                  [&part](const Dependency& dependency) { return dependency.part == part; });
  if (found == dependencies_.end() || found->reason.empty()) return std::nullopt;
  return found->reason;
}

async::Task<void> Dependencies::Watch(async::Loop& loop) {
  Activity activity;
  Scope scope(Telemetry::None(), loop, trace::Span(), Deadline::max(), activity);
  for (;;) {
    const bool all = co_await AskAll(scope);
    if (all) co_return;
    co_await scope.Sleep(kInterval);
  }
}

async::Task<bool> Dependencies::AskAll(Scope& scope) {
  bool all = true;
  for (auto& dependency : dependencies_) {
    if (dependency.reason.empty()) continue;  // nothing else writes reasons
    std::string reason = co_await Ask(*dependency.client, scope);
    if (reason.empty()) {
      logger_.Info("Dependency reached", {{"dependency", dependency.part}});
    } else {
      all = false;
      if (reason != dependency.reason) {
        logger_.Warn("Waiting for a dependency", {{"dependency", dependency.part}, {"reason", reason}});
      }
    }
    const std::lock_guard lock(mutex_);
    dependency.reason = std::move(reason);
  }
  co_return all;
}

}  // namespace obs::runtime
