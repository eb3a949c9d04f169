#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "obs/http/client.h"

namespace obs::runtime {

/// Asks the services that this one calls for their /readyz until each has answered 200 once. Thread-safe
/// after Start().
class Dependencies {
 public:
  explicit Dependencies(const log::Logger& logger);
  ~Dependencies();
  Dependencies(const Dependencies&) = delete;
  Dependencies& operator=(const Dependencies&) = delete;

  void Add(std::string part, std::string base_url);
  void Start();
  /// Nothing when that part has answered, else why not yet.
  std::optional<std::string> Unready(const std::string& part) const;

 private:
  struct Dependency {
    std::string part;
    std::unique_ptr<http::Client> client;
    std::string reason = "has not answered yet";  ///< empty once it has
  };
  void Watch();
  bool AskAll();

  const log::Logger& logger_;
  // These calls are nobody's request: they stay out of the service's metrics and traces.
  metrics::Registry registry_;
  trace::Tracer tracer_;
  trace::Propagator propagator_;
  mutable std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  std::vector<Dependency> dependencies_;
  std::thread thread_;
};

}  // namespace obs::runtime
