#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "obs/async/task.h"
#include "obs/http/client.h"
#include "obs/http/server.h"

namespace obs::runtime {

/// Asks the services that this one calls for their /readyz until each has answered 200 once. Thread-safe
/// after Start().
class Dependencies {
 public:
  explicit Dependencies(const log::Logger& logger);
  Dependencies(const Dependencies&) = delete;
  Dependencies& operator=(const Dependencies&) = delete;

  void Add(std::string part, std::string base_url);
  /// Asks on a thread of `server`, which must end before this is destroyed.
  void Start(http::Server& server);
  /// Nothing when that part has answered, else why not yet.
  std::optional<std::string> Unready(const std::string& part) const;

 private:
  struct Dependency {
    std::string part;
    std::unique_ptr<http::Client> client;
    std::string reason = "has not answered yet";  ///< empty once it has
  };
  async::Task<void> Watch(async::Loop& loop);
  async::Task<bool> AskAll(Scope& scope);

  const log::Logger& logger_;
  mutable std::mutex mutex_;
  std::vector<Dependency> dependencies_;
};

}  // namespace obs::runtime
