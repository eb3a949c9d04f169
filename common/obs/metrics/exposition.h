#pragma once

#include <prometheus/metric_family.h>

#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "obs/metrics/histogram.h"
#include "obs/metrics/registry.h"

namespace obs::metrics {

/// What a bucket remembers of its latest observation that had a trace.
struct BucketExemplar {
  std::array<char, 32> trace_id{};
  std::array<char, 16> span_id{};
  double value = 0;
  std::chrono::system_clock::time_point time;

  bool valid() const { return trace_id[0] != '\0'; }
};

/// One a bucket, the last for +Inf.
std::vector<BucketExemplar> Exemplars(const Histogram& histogram);

/// A family at one moment. `exemplars` runs beside `family.metric`, and may be shorter.
struct FamilySnapshot {
  prometheus::MetricFamily family;
  std::vector<std::vector<BucketExemplar>> exemplars;
};

/// The name that OpenMetrics gives a family: a counter's is without `_total`.
std::string_view FamilyName(std::string_view name, prometheus::MetricType type);

/// Writes one page of metrics: Prometheus text exposition 0.0.4 or OpenMetrics 1.0.0.
class Exposition {
 public:
  explicit Exposition(Format format) : format_(format) {}

  /// Families must differ in FamilyName().
  void Add(const FamilySnapshot& snapshot);
  /// The page; call it last and once.
  std::string Finish();

 private:
  struct Sample;
  bool open_metrics() const { return format_ == Format::kOpenMetrics; }
  void Describe(std::string_view keyword, std::string_view name, std::string_view text);
  void AddMetric(const Sample& common, prometheus::MetricType type,
                 const std::vector<BucketExemplar>& exemplars);
  void AddSummary(Sample sample);
  void AddHistogram(Sample sample, const std::vector<BucketExemplar>& exemplars);
  void Write(const Sample& sample);
  void WriteLabel(std::string_view name, std::string_view value);
  void WriteExemplar(const BucketExemplar& exemplar);

  const Format format_;
  std::string out_;
};

}  // namespace obs::metrics
