#include "obs/metrics/exposition.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>

namespace obs::metrics {

using prometheus::ClientMetric;
using prometheus::MetricType;

/// One line of the page.
struct Exposition::Sample {
  std::string_view name;
  const ClientMetric& metric;
  std::string_view suffix{};
  double value = 0;
  // The label that a bucket or a quantile has beyond those of its series.
  std::string_view extra_label{};
  std::string extra_value{};
  const BucketExemplar* exemplar = nullptr;
};

namespace {

constexpr std::string_view kTotal = "_total";

// The base units of OpenMetrics 1.0; a ratio is named in the singular everywhere in practice.
constexpr std::array<std::string_view, 9> kUnits = {"seconds", "bytes", "ratio",   "celsius", "meters",
                                                    "volts",   "grams", "amperes", "joules"};

std::string_view UnitOf(std::string_view family) {
  for (const std::string_view unit : kUnits) {
    if (family.size() > unit.size() && family.ends_with(unit) &&
        family[family.size() - unit.size() - 1] == '_') {
      return unit;
    }
  }
  return {};
}

std::string_view TypeName(MetricType type, bool open_metrics) {
  switch (type) {
    case MetricType::Counter:
      return "counter";
    case MetricType::Gauge:
      return "gauge";
    case MetricType::Summary:
      return "summary";
    case MetricType::Histogram:
      return "histogram";
    case MetricType::Untyped:
      break;
  }
  return open_metrics ? "unknown" : "untyped";
}

void AppendEscaped(std::string& out, std::string_view text, bool escape_quotes) {
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else {
      if (c == '\\' || (c == '"' && escape_quotes)) out += '\\';
      out += c;
    }
  }
}

std::string Number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

// A bound as a label value: OpenMetrics wants one spelling for each number, and both formats use it, so that
// a series keeps its identity when the scraper changes its mind.
std::string CanonicalNumber(double value) {
  if (!std::isfinite(value)) return Number(value);
  std::array<char, 32> digits{};
  const auto end =
      std::to_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::general);
  std::string text(digits.data(), end.ptr);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string Seconds(std::int64_t milliseconds) {
  return fmt::format("{}.{:03}", milliseconds / 1000, milliseconds % 1000);
}

}  // namespace

std::string_view FamilyName(std::string_view name, MetricType type) {
  if (type == MetricType::Counter && name.ends_with(kTotal)) name.remove_suffix(kTotal.size());
  return name;
}

void Exposition::Add(const FamilySnapshot& snapshot) {
  const prometheus::MetricFamily& family = snapshot.family;
  const std::string_view name = open_metrics() ? FamilyName(family.name, family.type) : family.name;
  Describe("HELP", name, family.help);
  Describe("TYPE", name, TypeName(family.type, open_metrics()));
  const std::string_view unit = UnitOf(name);
  if (open_metrics() && !unit.empty()) Describe("UNIT", name, unit);
  for (std::size_t i = 0; i < family.metric.size(); ++i) {
    AddMetric({.name = name, .metric = family.metric[i]}, family.type,
              i < snapshot.exemplars.size() ? snapshot.exemplars[i] : std::vector<BucketExemplar>());
  }
}

std::string Exposition::Finish() {
  if (open_metrics()) out_ += "# EOF\n";
  return std::move(out_);
}

void Exposition::Describe(std::string_view keyword, std::string_view name, std::string_view text) {
  fmt::format_to(std::back_inserter(out_), "# {} {} ", keyword, name);
  AppendEscaped(out_, text, open_metrics());
  out_ += '\n';
}

void Exposition::AddMetric(const Sample& common, MetricType type,
                           const std::vector<BucketExemplar>& exemplars) {
  Sample sample = common;
  switch (type) {
    case MetricType::Counter:
      if (open_metrics()) sample.suffix = kTotal;
      sample.value = common.metric.counter.value;
      return Write(sample);
    case MetricType::Gauge:
      sample.value = common.metric.gauge.value;
      return Write(sample);
    case MetricType::Untyped:
      sample.value = common.metric.untyped.value;
      return Write(sample);
    case MetricType::Summary:
      return AddSummary(sample);
    case MetricType::Histogram:
      return AddHistogram(sample, exemplars);
  }
}

void Exposition::AddSummary(Sample sample) {
  const ClientMetric::Summary& summary = sample.metric.summary;
  Write({.name = sample.name, .metric = sample.metric, .suffix = "_sum", .value = summary.sample_sum});
  Write({.name = sample.name,
         .metric = sample.metric,
         .suffix = "_count",
         .value = static_cast<double>(summary.sample_count)});
  sample.extra_label = "quantile";
  for (const ClientMetric::Quantile& quantile : summary.quantile) {
    sample.extra_value = CanonicalNumber(quantile.quantile);
    sample.value = quantile.value;
    Write(sample);
  }
}

void Exposition::AddHistogram(Sample sample, const std::vector<BucketExemplar>& exemplars) {
  const ClientMetric::Histogram& histogram = sample.metric.histogram;
  const auto count = static_cast<double>(histogram.sample_count);
  Write({.name = sample.name, .metric = sample.metric, .suffix = "_sum", .value = histogram.sample_sum});
  Write({.name = sample.name, .metric = sample.metric, .suffix = "_count", .value = count});
  sample.suffix = "_bucket";
  sample.extra_label = "le";
  for (std::size_t i = 0; i < histogram.bucket.size(); ++i) {
    sample.extra_value = CanonicalNumber(histogram.bucket[i].upper_bound);
    sample.value = static_cast<double>(histogram.bucket[i].cumulative_count);
    sample.exemplar = i < exemplars.size() && exemplars[i].valid() ? &exemplars[i] : nullptr;
    Write(sample);
  }
}

void Exposition::Write(const Sample& sample) {
  out_ += sample.name;
  out_ += sample.suffix;
  const std::size_t labels = out_.size();
  for (const ClientMetric::Label& label : sample.metric.label) WriteLabel(label.name, label.value);
  if (!sample.extra_label.empty()) WriteLabel(sample.extra_label, sample.extra_value);
  if (out_.size() > labels) {
    out_[labels] = '{';  // in place of the first comma
    out_ += '}';
  }
  out_ += ' ';
  out_ += Number(sample.value);
  if (const std::int64_t time = sample.metric.timestamp_ms; time != 0) {
    out_ += ' ';
    out_ += open_metrics() ? Seconds(time) : std::to_string(time);
  }
  if (open_metrics() && sample.exemplar != nullptr) WriteExemplar(*sample.exemplar);
  out_ += '\n';
}

void Exposition::WriteLabel(std::string_view name, std::string_view value) {
  out_ += ',';
  out_ += name;
  out_ += "=\"";
  AppendEscaped(out_, value, true);
  out_ += '"';
}

void Exposition::WriteExemplar(const BucketExemplar& exemplar) {
  const auto view = [](const auto& id) { return std::string_view(id.data(), id.size()); };
  const auto since_epoch = exemplar.time.time_since_epoch();
  fmt::format_to(std::back_inserter(out_), " # {{trace_id=\"{}\",span_id=\"{}\"}} {} {}",
                 view(exemplar.trace_id), view(exemplar.span_id), Number(exemplar.value),
                 Seconds(std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count()));
}

}  // namespace obs::metrics
