#pragma once

#include "obs/http/server.h"
#include "obs/metrics/registry.h"
#include "store.h"

namespace die_service {

/// What the service counts about its dice.
struct DieMetrics {
  explicit DieMetrics(obs::metrics::Registry& registry);

  obs::metrics::Family<obs::metrics::Counter>& requested;
  obs::metrics::Counter& listed;
  obs::metrics::Gauge& loaded;
};

/// Registers `/`, `/dice` and `/dice/{die}`. The references must outlive the server.
void AddRoutes(obs::http::Server& server, Store& store, DieMetrics& metrics);

}  // namespace die_service
