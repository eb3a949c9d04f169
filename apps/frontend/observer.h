#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "obs/async/concurrency_limit.h"
#include "obs/async/task.h"
#include "obs/http/client.h"
#include "obs/metrics/registry.h"
#include "obs/scope/scope.h"
#include "obs/trace/buffer.h"

namespace frontend {

/// Where the page's view of the system comes from.
struct ObserverConfig {
  std::vector<obs::http::ClientConfig> services;  ///< beside this one
  std::string trace_query_url{};                  ///< of a store that answers as Tempo does; may be empty
  std::string log_query_url{};                    ///< of a store that answers as Loki does; may be empty
};

/// Calls to one source under way at once: a source that hangs holds no more.
constexpr std::size_t kObserverConcurrency = 16;

/// Looks at the system for the page. These calls are nobody's request: they stay out of the service's metrics
/// and traces. Thread-safe.
class Observer {
 public:
  /// `own` is this service's buffer, null without one. The references must outlive it.
  Observer(ObserverConfig config, const obs::trace::Buffer* own, const obs::metrics::Registry& registry);

  enum class Source { kNone, kServices, kStore };
  Source trace_source() const;
  Source log_source() const;

  /// What the stores and the services' buffers, where there are any, know of a trace now, as a TraceView.
  obs::async::Task<std::string> Trace(std::string trace_id, obs::Scope& scope);
  /// `{"frontend":"…","dice-roller":"…","die-service":null}`: of each service the lines of its metrics that
  /// the page draws, null for one that does not answer.
  obs::async::Task<std::string> Metrics(obs::Scope& scope);

 private:
  using Clients = std::vector<std::unique_ptr<obs::http::Client>>;
  std::unique_ptr<obs::http::Client> MakeClient(obs::http::ClientConfig config);
  /// Null without a URL.
  std::unique_ptr<obs::http::Client> MakeStoreClient(std::string name, std::string url);
  Source SourceBeside(const obs::http::Client* store) const;

  const obs::trace::Buffer* own_;
  const obs::metrics::Registry& own_registry_;
  /// A trace can be megabytes, and its view is made from all of it.
  obs::async::ConcurrencyLimit views_{4, 32};
  Clients services_;
  std::unique_ptr<obs::http::Client> trace_store_;  ///< null without trace_query_url
  std::unique_ptr<obs::http::Client> log_store_;    ///< null without log_query_url
  std::string log_selector_;                        ///< of the streams of all three services, in LogQL
};

}  // namespace frontend
