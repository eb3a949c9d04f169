#include "obs/runtime/dependency.h"

#include <fmt/format.h>

#include <algorithm>

namespace obs::runtime {
namespace {

constexpr std::chrono::milliseconds kInterval{100};
constexpr std::chrono::milliseconds kTimeout{1000};

std::string Ask(http::Client& client) {
  try {
    const auto response = client.Get("/readyz", {});
    return response.status == 200 ? "" : fmt::format("is not ready: it answered {}", response.status);
  } catch (const Error& error) {
    return fmt::format("cannot be reached: {}", error.cause());
  }
}

}  // namespace

Dependencies::Dependencies(const log::Logger& logger) : logger_(logger) {}

Dependencies::~Dependencies() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Dependencies::Add(std::string part, std::string base_url) {
  http::ClientConfig config;
  config.base_url = std::move(base_url);
  config.peer = part;
  config.connect_timeout = kTimeout;
  config.timeout = kTimeout;
  auto client = std::make_unique<http::Client>(std::move(config), registry_, tracer_, propagator_);
  dependencies_.push_back({std::move(part), std::move(client)});
}

void Dependencies::Start() {
  if (!dependencies_.empty()) thread_ = std::thread([this] { Watch(); });
}

std::optional<std::string> Dependencies::Unready(const std::string& part) const {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(dependencies_.begin(), dependencies_.end(),
                                  [&part](const Dependency& dependency) { return dependency.part == part; });
  if (found == dependencies_.end() || found->reason.empty()) return std::nullopt;
  return found->reason;
}

void Dependencies::Watch() {
  while (!AskAll()) {
    std::unique_lock lock(mutex_);
    if (stop_.wait_for(lock, kInterval, [this] { return stopping_; })) return;
  }
}

bool Dependencies::AskAll() {
  bool all = true;
  for (auto& dependency : dependencies_) {
    if (dependency.reason.empty()) continue;  // only this thread writes reasons
    std::string reason = Ask(*dependency.client);
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
  return all;
}

}  // namespace obs::runtime
