#include "obs/config/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "obs/http1/origin.h"
#include "obs/http1/text.h"
#include "obs/trace/list.h"
#include "obs/trace/pair.h"
#include "obs/trace/tracer.h"

namespace obs::trace {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kMaxQueue = 1'000'000;
constexpr std::int64_t kMinQueueBytes = 64 << 10;
constexpr std::int64_t kMaxQueueBytes = 1 << 30;
constexpr std::int64_t kMaxMilliseconds = 3'600'000;
constexpr std::int64_t kMaxLimit = std::numeric_limits<std::int32_t>::max();

std::string ToLower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), http1::ToLower);
  return text;
}

template <typename Number>
std::optional<Number> ParseNumber(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

/// Reads variables as the OpenTelemetry specification asks: a value that cannot be used is warned of, and the
/// default holds.
class Reader {
 public:
  Reader(config::Parser& parser, std::vector<std::string>& warnings) : parser_(parser), warnings_(warnings) {}

  /// One of `choices`, in any case.
  std::string Choice(std::string_view name, const std::string& fallback,
                     const std::vector<std::string_view>& choices, std::string_view help) {
    const std::string value = ToLower(std::string(http1::Trim(parser_.String(name, fallback, help))));
    if (std::find(choices.begin(), choices.end(), value) != choices.end()) {
      return value;
    }
    Warn(name, value, fmt::format("one of {}", fmt::join(choices, ", ")), fallback);
    return fallback;
  }

  /// A comma-separated list of `choices`; those not known are left out, and with none left the default holds.
  std::string List(std::string_view name, const std::string& fallback,
                   const std::vector<std::string_view>& choices, std::string_view help) {
    const std::string text = parser_.String(name, fallback, help);
    std::vector<std::string_view> known;
    std::vector<std::string_view> unknown;
    ForEachItem(text, ',', [&](std::string_view item) {
      const bool is_known = std::find(choices.begin(), choices.end(), item) != choices.end();
      auto& items = is_known ? known : unknown;
      if (std::find(items.begin(), items.end(), item) == items.end()) {
        items.push_back(item);
      }
    });
    const std::string used = known.empty() ? fallback : fmt::format("{}", fmt::join(known, ","));
    for (const std::string_view item : unknown) {
      Warn(name, item, fmt::format("one of {}", fmt::join(choices, ", ")), used);
    }
    return used;
  }

  template <typename Number>
  Number InRange(std::string_view name, Number fallback, Number min, Number max, std::string_view help) {
    const std::string shown = fmt::format("{}", fallback);
    const std::string text = parser_.String(name, shown, help);
    const auto value = ParseNumber<Number>(http1::Trim(text));
    if (value && *value >= min && *value <= max) {
      return *value;
    }
    Warn(name, text, fmt::format("a number from {} to {}", min, max), shown);
    return fallback;
  }

  std::size_t Size(std::string_view name, std::size_t fallback, std::string_view help) {
    return static_cast<std::size_t>(
        InRange<std::int64_t>(name, static_cast<std::int64_t>(fallback), 1, kMaxQueue, help));
  }

  std::size_t Bytes(std::string_view name, std::size_t fallback, std::string_view help) {
    return static_cast<std::size_t>(InRange<std::int64_t>(name, static_cast<std::int64_t>(fallback),
                                                          kMinQueueBytes, kMaxQueueBytes, help));
  }

  /// OTEL_SPAN_<suffix>, or else OTEL_<suffix>.
  std::size_t Limit(std::string_view suffix, std::size_t fallback, std::string_view help) {
    const auto general = InRange<std::int64_t>(fmt::format("OTEL_{}", suffix),
                                               static_cast<std::int64_t>(fallback), 0, kMaxLimit, help);
    return static_cast<std::size_t>(InRange<std::int64_t>(fmt::format("OTEL_SPAN_{}", suffix), general, 0,
                                                          kMaxLimit, "the same for spans alone"));
  }

  milliseconds Milliseconds(std::string_view name, milliseconds fallback, std::string_view help) {
    return milliseconds(InRange<std::int64_t>(name, fallback.count(), 1, kMaxMilliseconds, help));
  }

  void Warn(std::string_view name, std::string_view value, std::string_view wanted, std::string_view used) {
    warnings_.push_back(fmt::format("{} must be {}, but is '{}': using {}", name, wanted, value, used));
  }

 private:
  config::Parser& parser_;
  std::vector<std::string>& warnings_;
};

log::Level ToLevel(std::string_view name) {
  if (name == "debug") return log::Level::kDebug;
  if (name == "info") return log::Level::kInfo;
  if (name == "error") return log::Level::kError;
  return log::Level::kWarn;
}

struct OtlpVariable {
  std::string name;
  std::string value;
};

/// OTEL_EXPORTER_OTLP_TRACES_<suffix>, or else OTEL_EXPORTER_OTLP_<suffix>. Neither is the other's default in
/// the table of variables, where a secret must not appear.
OtlpVariable ReadOtlpVariable(config::Parser& parser, std::string_view suffix, std::string_view help) {
  OtlpVariable general{.name = fmt::format("OTEL_EXPORTER_OTLP_{}", suffix), .value = {}};
  OtlpVariable special{.name = fmt::format("OTEL_EXPORTER_OTLP_TRACES_{}", suffix), .value = {}};
  general.value = parser.String(general.name, "", help);
  special.value = parser.String(special.name, "", "the same for traces alone");
  return special.value.empty() ? general : special;
}

bool IsHttpUrl(std::string_view text) { return http1::ParseUrl(text).has_value(); }

std::string ReadEndpoint(config::Parser& parser, Reader& reader, const std::string& fallback) {
  constexpr std::string_view kPath = "/v1/traces";
  constexpr std::string_view kWanted = "an http:// or https:// URL";
  const std::string default_base = fallback.substr(0, fallback.size() - kPath.size());
  std::string base = parser.String("OTEL_EXPORTER_OTLP_ENDPOINT", default_base,
                                   "the collector's OTLP/HTTP address; /v1/traces is appended");
  if (!IsHttpUrl(base)) {
    reader.Warn("OTEL_EXPORTER_OTLP_ENDPOINT", base, kWanted, default_base);
    base = default_base;
  }
  while (base.ends_with('/')) {
    base.pop_back();
  }
  const std::string general = base.append(kPath);
  const std::string url = parser.String("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "",
                                        "the whole URL for traces, instead of the address above");
  if (!url.empty() && !IsHttpUrl(url)) {
    reader.Warn("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url, kWanted, general);
  }
  return IsHttpUrl(url) ? url : general;
}

/// The exporter's own, which say what the body is.
bool IsReserved(std::string_view name) {
  static constexpr std::array<std::string_view, 4> kReserved = {"content-type", "content-length",
                                                                "content-encoding", "transfer-encoding"};
  return std::any_of(kReserved.begin(), kReserved.end(),
                     [name](std::string_view reserved) { return http1::EqualsIgnoringCase(reserved, name); });
}

bool IsPrintable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

/// Skips what would break the request. The warnings show no value, and nothing of an entry without a name:
/// both may be secrets.
Config::Strings ParseHeaders(const OtlpVariable& variable, std::vector<std::string>& warnings) {
  Config::Strings headers;
  int count = 0;
  ForEachItem(variable.value, ',', [&](std::string_view entry) {
    ++count;
    const auto skip = [&](std::string_view name, std::string_view why) {
      warnings.push_back(fmt::format("{}: entry {}{} is skipped: {}", variable.name, count, name, why));
    };
    const auto pair = SplitPair(entry);
    if (!pair) return skip("", "it has no '='");
    const auto value = PercentDecoded(pair->second);
    const std::string name = fmt::format(" ('{}')", pair->first);
    if (!http1::IsToken(pair->first)) return skip(name, "its name is none that HTTP knows");
    if (IsReserved(pair->first)) return skip(name, "the exporter sends its own");
    if (!value || !IsPrintable(*value)) return skip(name, "its value is not printable text, percent-encoded");
    headers[std::string(pair->first)] = *value;
  });
  return headers;
}

void ReadOtlp(config::Parser& parser, Reader& reader, Config& config, std::vector<std::string>& warnings) {
  config.otlp_endpoint = ReadEndpoint(parser, reader, config.otlp_endpoint);
  config.export_timeout = reader.Milliseconds("OTEL_EXPORTER_OTLP_TIMEOUT", config.export_timeout,
                                              "milliseconds that one export may take, with all its attempts");
  config.export_timeout = reader.Milliseconds("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", config.export_timeout,
                                              "the same for traces alone");
  const OtlpVariable headers = ReadOtlpVariable(parser, "HEADERS", "sent to the collector: name=value,...");
  config.otlp_headers = ParseHeaders(headers, warnings);
  config.otlp_certificate =
      ReadOtlpVariable(parser, "CERTIFICATE", "file of the CA that signed the collector's").value;
  config.otlp_client_certificate =
      ReadOtlpVariable(parser, "CLIENT_CERTIFICATE", "file of our certificate").value;
  config.otlp_client_key = ReadOtlpVariable(parser, "CLIENT_KEY", "file of our certificate's key").value;
  for (const char* name : {"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"}) {
    reader.Choice(name, "http/protobuf", {"http/protobuf"}, "the only protocol there is");
  }
  for (const char* name : {"OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"}) {
    reader.Choice(name, "none", {"none"}, "requests are not compressed");
  }
}

/// OTEL_RESOURCE_ATTRIBUTES; nothing when any of it is malformed, as the specification asks.
std::optional<Config::Strings> ParseResource(std::string_view text) {
  Config::Strings attributes;
  bool valid = true;
  ForEachItem(text, ',', [&](std::string_view item) {
    const auto pair = SplitPair(item);
    const auto name = pair ? PercentDecoded(pair->first) : std::nullopt;
    const auto value = pair ? PercentDecoded(pair->second) : std::nullopt;
    if (name && !name->empty() && value) {
      attributes[*name] = *value;
    } else {
      valid = false;
    }
  });
  return valid ? std::optional(std::move(attributes)) : std::nullopt;
}

/// What the environment says of the service, the name in OTEL_SERVICE_NAME before that among the attributes.
Config::Strings ReadResource(config::Parser& parser, std::vector<std::string>& warnings) {
  const std::string name = parser.String("OTEL_SERVICE_NAME", "", "service.name, instead of the program's");
  const std::string text = parser.String("OTEL_RESOURCE_ATTRIBUTES", "",
                                         "attributes of every span: name=value,... percent-encoded");
  auto attributes = ParseResource(text);
  if (!attributes) {
    warnings.push_back(fmt::format(
        "OTEL_RESOURCE_ATTRIBUTES must be name=value,... percent-encoded, but is '{}': using none of it",
        text));
    attributes.emplace();
  }
  if (!name.empty()) {
    (*attributes)["service.name"] = name;
  }
  return *std::move(attributes);
}

void ReadLimits(config::Parser& parser, Reader& reader, SpanLimits& limits) {
  limits.attributes = reader.Limit("ATTRIBUTE_COUNT_LIMIT", limits.attributes,
                                   "attributes of a span at most; more are dropped and counted");
  limits.attribute_length = reader.Limit("ATTRIBUTE_VALUE_LENGTH_LIMIT", limits.attribute_length,
                                         "characters of an attribute; never more than 4096 bytes");
  for (const char* name : {"OTEL_SPAN_EVENT_COUNT_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT",
                           "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"}) {
    parser.Document(name, "128", "no effect: spans have neither events nor links");
  }
}

}  // namespace

Config ReadConfig(config::Parser& parser, std::string service_name, std::string service_version,
                  std::vector<std::string>& warnings) {
  Reader reader(parser, warnings);
  Config config;
  config.service_name = std::move(service_name);
  config.service_version = std::move(service_version);
  config.disabled =
      reader.Choice("OTEL_SDK_DISABLED", "false", {"true", "false"}, "record no spans") == "true";
  config.exporter =
      reader.List("OTEL_TRACES_EXPORTER", config.exporter, {"otlp", "console", "none"},
                  "where spans go: otlp, console (a log line each) or none; a list is possible");
  config.sampler = reader.Choice("OTEL_TRACES_SAMPLER", config.sampler,
                                 {"always_on", "always_off", "traceidratio", "parentbased_always_on",
                                  "parentbased_always_off", "parentbased_traceidratio"},
                                 "which spans are recorded");
  config.sampler_ratio = reader.InRange<double>("OTEL_TRACES_SAMPLER_ARG", config.sampler_ratio, 0, 1,
                                                "share of traces that a traceidratio sampler records");
  config.propagators = reader.List(
      "OTEL_PROPAGATORS", config.propagators, {"tracecontext", "baggage", "b3", "b3multi", "jaeger", "none"},
      "headers that carry a trace: tracecontext, baggage, b3, b3multi, jaeger, none");
  config.log_level = ToLevel(reader.Choice("OTEL_LOG_LEVEL", "warn", {"debug", "info", "warn", "error"},
                                           "least level of the OpenTelemetry SDK's own messages"));
  config.queue_size = reader.Size("OTEL_BSP_MAX_QUEUE_SIZE", config.queue_size,
                                  "finished spans that wait at most; more are dropped and counted");
  config.queue_bytes = reader.Bytes("TRACE_QUEUE_BYTES", config.queue_bytes,
                                    "bytes that these spans take at most, in OTLP's encoding");
  config.batch_size = reader.Size("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", config.batch_size, "spans in one export");
  if (config.batch_size > config.queue_size) {
    reader.Warn("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", std::to_string(config.batch_size),
                "at most OTEL_BSP_MAX_QUEUE_SIZE", std::to_string(config.queue_size));
    config.batch_size = config.queue_size;
  }
  config.schedule_delay = reader.Milliseconds("OTEL_BSP_SCHEDULE_DELAY", config.schedule_delay,
                                              "milliseconds between exports of less than a batch");
  ReadLimits(parser, reader, config.limits);
  ReadOtlp(parser, reader, config, warnings);
  config.export_timeout =
      std::min(config.export_timeout, reader.Milliseconds("OTEL_BSP_EXPORT_TIMEOUT", config.export_timeout,
                                                          "the same; the smaller of the two holds"));
  config.resource_attributes = ReadResource(parser, warnings);
  return config;
}

}  // namespace obs::trace
