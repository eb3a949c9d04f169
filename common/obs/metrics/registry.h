#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "obs/metrics/histogram.h"

namespace prometheus {
class Collectable;
}

namespace obs::metrics {

using Counter = prometheus::Counter;
using Gauge = prometheus::Gauge;

/// All series of one metric name. The number of label sets is bounded: beyond `limit` every new label set is
/// counted under one series whose label values are all `_other`, so a caller can never grow memory without
/// bound. A label set that is not UTF-8 is counted there too, because no scraper would accept the page.
/// Thread-safe; the references returned live as long as the registry, so keep those used on a hot path.
template <typename Metric>
class Family {
 public:
  virtual ~Family() = default;
  /// `values` in the order of the label names given at registration; another count throws
  /// std::invalid_argument.
  virtual Metric& With(std::initializer_list<std::string_view> values) = 0;
};

enum class Format {
  kText,         ///< Prometheus text exposition 0.0.4
  kOpenMetrics,  ///< OpenMetrics 1.0.0, with exemplars
};

/// The format that an HTTP `Accept` header asks for; kText when it is absent, malformed or names neither.
/// Quality values are honoured (RFC 9110, section 12.5.1).
Format Negotiate(std::string_view accept);
/// The `Content-Type` of a format.
std::string_view ContentType(Format format);

/// All metrics of a process: prometheus-cpp counts, the writer of both formats is ours. Thread-safe.
/// Registering a name again returns the family that is there; with other labels, help, type or bounds, or as
/// a callback, it throws std::invalid_argument, as does a name or label that Prometheus does not allow.
class Registry {
 public:
  static constexpr std::size_t kDefaultLimit = 500;

  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// `name` must end in `_total`, as no other metric's may. Here and below: a family without labels is
  /// exposed from the start, at 0.
  Family<Counter>& AddCounter(const std::string& name, const std::string& help,
                              std::vector<std::string> labels = {}, std::size_t limit = kDefaultLimit);
  Family<Gauge>& AddGauge(const std::string& name, const std::string& help,
                          std::vector<std::string> labels = {}, std::size_t limit = kDefaultLimit);
  /// `bounds`: upper bounds of the buckets, ascending, in the base unit that `name` ends in; +Inf is implied.
  Family<Histogram>& AddHistogram(const std::string& name, const std::string& help,
                                  std::vector<std::string> labels, std::vector<double> bounds,
                                  std::size_t limit = kDefaultLimit);
  /// A gauge or counter whose value `read` gives at each scrape. `read` must not block or throw, and
  /// must be thread-safe.
  void AddCallbackGauge(const std::string& name, const std::string& help, std::function<double()> read);
  void AddCallbackCounter(const std::string& name, const std::string& help, std::function<double()> read);
  /// process_cpu_seconds_total, process_resident_memory_bytes, process_open_fds and their siblings, from
  /// /proc.
  void AddProcessMetrics();
  /// Anything that prometheus-cpp can collect. A family whose name is taken joins it; with another type it is
  /// left out, because a page with both would be rejected as a whole.
  void AddCollectable(std::shared_ptr<prometheus::Collectable> collectable);

  std::string Render(Format format) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace obs::metrics
