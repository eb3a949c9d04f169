#pragma once

#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "die.h"
#include "obs/http/client.h"
#include "obs/scope/scope.h"

namespace dice_roller {

/// Asks die-service for dice. Thread-safe.
class DieClient {
 public:
  /// `client` must outlive it.
  DieClient(obs::http::Client& client, const obs::Telemetry& telemetry);

  /// Throws obs::Error kUnavailable with type `die-not-found`, `die-service-unreachable`,
  /// `die-service-timeout` or `die-service-invalid`.
  obs::async::Task<Die> Get(std::string identifier, obs::Scope& scope);

 private:
  /// The identifier when die-service has ever known it, else "unknown": what callers make up must not become
  /// labels.
  std::string LabelOf(const std::string& identifier, bool known);
  void Count(const std::string& identifier, std::string_view status, bool known);
  obs::async::Task<Die> Ask(const std::string& identifier, obs::Scope& scope);

  obs::http::Client& client_;
  obs::metrics::Family<obs::metrics::Counter>& requests_;
  obs::metrics::Histogram& duration_;
  std::mutex mutex_;
  std::set<std::string> known_;
};

}  // namespace dice_roller
