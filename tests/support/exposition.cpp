#include "support/exposition.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

#include "support/paths.h"
#include "support/process.h"
#include "support/temporary_file.h"

namespace support {
namespace {

/// Reads `{a="b",c="d"}` at the head of `text` and moves past it.
Labels TakeLabels(std::string_view& text) {
  Labels labels;
  if (text.empty() || text.front() != '{') return labels;
  text.remove_prefix(1);
  while (!text.empty() && text.front() != '}') {
    const std::size_t equals = text.find('=');
    const std::string name(text.substr(0, equals));
    text.remove_prefix(std::min(equals + 2, text.size()));
    std::string value;
    while (!text.empty() && text.front() != '"') {
      if (text.front() == '\\') text.remove_prefix(1);
      value += text.front();
      text.remove_prefix(1);
    }
    text.remove_prefix(std::min<std::size_t>(1, text.size()));
    if (!text.empty() && text.front() == ',') text.remove_prefix(1);
    labels[name] = value;
  }
  text.remove_prefix(std::min<std::size_t>(1, text.size()));
  return labels;
}

Sample ParseSample(std::string_view line) {
  Sample sample;
  const std::size_t end = std::min(line.find_first_of("{ "), line.size());
  sample.name = line.substr(0, end);
  line.remove_prefix(end);
  sample.labels = TakeLabels(line);
  sample.value = std::strtod(std::string(line).c_str(), nullptr);
  if (const std::size_t exemplar = line.find("# {"); exemplar != line.npos) {
    line.remove_prefix(exemplar + 2);
    sample.exemplar = TakeLabels(line);
  }
  return sample;
}

MetricFamily& FamilyOf(std::vector<MetricFamily>& families, const std::string& name) {
  if (families.empty() || families.back().name != name) families.emplace_back().name = name;
  return families.back();
}

}  // namespace

std::vector<MetricFamily> ParseExposition(std::string_view text) {
  std::vector<MetricFamily> families;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# EOF") || line.empty()) continue;
    if (line.starts_with("# ")) {
      std::istringstream words(line.substr(2));
      std::string kind;
      std::string name;
      words >> kind >> name >> std::ws;
      MetricFamily& family = FamilyOf(families, name);
      std::getline(words, kind == "TYPE" ? family.type : kind == "UNIT" ? family.unit : family.help);
    } else if (!families.empty()) {
      families.back().samples.push_back(ParseSample(line));
    }
  }
  return families;
}

std::vector<Json> ParseByPrometheus(const std::string& page, const std::string& format) {
  const TemporaryFile file(page);
  const char* python = std::getenv("DICEBOX_PYTHON");
  Process parser({python != nullptr ? python : "python3", SourcePath("tests/support/parse_exposition.py"),
                  format, file.path()},
                 {});
  if (parser.Wait() != 0) throw std::runtime_error(parser.Errors() + page);
  return parser.Logs();
}

double Value(const std::vector<MetricFamily>& families, std::string_view name, const Labels& labels) {
  double sum = 0;
  for (const MetricFamily& family : families) {
    for (const Sample& sample : family.samples) {
      const bool matches = std::all_of(labels.begin(), labels.end(), [&](const auto& label) {
        const auto found = sample.labels.find(label.first);
        return found != sample.labels.end() && found->second == label.second;
      });
      if (sample.name == name && matches) sum += sample.value;
    }
  }
  return sum;
}

}  // namespace support
