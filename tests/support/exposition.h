#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "support/json.h"

namespace support {

using Labels = std::map<std::string, std::string>;

struct Sample {
  std::string name;  ///< with its suffix: "…_bucket", "…_total"
  Labels labels;
  double value = 0;
  Labels exemplar;  ///< OpenMetrics alone; empty when there is none
};

struct MetricFamily {
  std::string name;  ///< as in "# TYPE"
  std::string type;
  std::string unit;  ///< OpenMetrics alone
  std::string help;
  std::vector<Sample> samples;
};

/// Reads Prometheus text or OpenMetrics as our services write them. Whether a strict parser accepts the page
/// is another test's question; this one only needs the values.
std::vector<MetricFamily> ParseExposition(std::string_view text);

/// The families of a page as Prometheus' own Python client reads them ("text" or "openmetrics"), each as
/// {name, type, unit, help, samples}. Throws std::runtime_error with its words when it rejects the page.
std::vector<Json> ParseByPrometheus(const std::string& page, const std::string& format);

/// The sum of all samples of that name whose labels contain `labels`.
double Value(const std::vector<MetricFamily>& families, std::string_view name, const Labels& labels = {});

}  // namespace support
