#include <algorithm>
#include <charconv>
#include <optional>

#include "obs/metrics/registry.h"

namespace obs::metrics {
namespace {

constexpr double kNotNamed = -1;

char ToLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool Same(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return ToLower(x) == ToLower(y); });
}

std::string_view Trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Takes what comes before the next `separator` off the front of `text`.
std::string_view TakeUntil(char separator, std::string_view& text) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view taken = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return Trim(taken);
}

std::optional<double> Quality(std::string_view text) {
  double quality = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), quality, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size() || !(quality >= 0 && quality <= 1)) return {};
  return quality;
}

struct MediaRange {
  std::string_view type;
  std::string_view version;
  double quality = 1;
};

/// Nothing when the range is malformed.
std::optional<MediaRange> ParseRange(std::string_view text) {
  MediaRange range{TakeUntil(';', text), {}};
  while (!text.empty()) {
    std::string_view value = TakeUntil(';', text);
    const std::string_view name = TakeUntil('=', value);
    if (Same(name, "version")) range.version = value;
    if (!Same(name, "q")) continue;
    const std::optional<double> quality = Quality(value);
    if (!quality) return {};
    range.quality = *quality;
  }
  return range;
}

bool NamesOpenMetrics(const MediaRange& range) {
  const bool our_version = range.version.empty() || range.version == "1.0.0" || range.version == "0.0.1";
  return Same(range.type, "application/openmetrics-text") && our_version;
}

}  // namespace

Format Negotiate(std::string_view accept) {
  // How much each is wanted: OpenMetrics only when it is named, text by the most specific range that has it.
  double open_metrics = kNotNamed;
  double any = kNotNamed;
  double any_text = kNotNamed;
  double text = kNotNamed;
  while (!accept.empty()) {
    const std::optional<MediaRange> range = ParseRange(TakeUntil(',', accept));
    if (!range) continue;
    if (NamesOpenMetrics(*range)) open_metrics = std::max(open_metrics, range->quality);
    if (Same(range->type, "*/*")) any = range->quality;
    if (Same(range->type, "text/*")) any_text = range->quality;
    if (Same(range->type, "text/plain")) text = std::max(text, range->quality);
  }
  for (const double less_specific : {any_text, any}) {
    if (text == kNotNamed) text = less_specific;
  }
  return open_metrics > 0 && open_metrics >= text ? Format::kOpenMetrics : Format::kText;
}

std::string_view ContentType(Format format) {
  return format == Format::kOpenMetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                        : "text/plain; version=0.0.4; charset=utf-8";
}

}  // namespace obs::metrics
