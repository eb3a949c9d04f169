#include <fmt/chrono.h>
#include <fmt/format.h>
#include <opentelemetry/sdk/trace/span_data.h>

#include <iterator>
#include <map>

#include "obs/trace/context.h"
#include "obs/trace/exporter.h"

namespace obs::trace {
namespace {

namespace otel = opentelemetry::trace;
namespace sdk = opentelemetry::sdk;
using sdk::trace::Recordable;
using sdk::trace::SpanData;

std::string_view Name(otel::SpanKind kind) {
  switch (kind) {
    case otel::SpanKind::kServer:
      return "server";
    case otel::SpanKind::kClient:
      return "client";
    default:
      return "internal";
  }
}

std::string_view Name(otel::StatusCode status) {
  switch (status) {
    case otel::StatusCode::kOk:
      return "ok";
    case otel::StatusCode::kError:
      return "error";
    default:
      return "unset";
  }
}

std::string Rfc3339(std::chrono::system_clock::time_point time) {
  const auto since = std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", fmt::gmtime(seconds.count()), (since - seconds).count());
}

void AppendValue(std::string& text, const sdk::common::OwnedAttributeValue& value) {
  opentelemetry::nostd::visit(
      [&text](const auto& v) {
        using Value = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<Value, std::string>) {
          const bool bare = !v.empty() && v.find_first_of(" '=") == std::string::npos;
          fmt::format_to(std::back_inserter(text), fmt::runtime(bare ? "{}" : "'{}'"), v);
        } else if constexpr (std::is_arithmetic_v<Value>) {
          fmt::format_to(std::back_inserter(text), "{}", v);
        } else {
          text += "[]";  // obs::trace::Attribute has no lists
        }
      },
      value);
}

/// key=value pairs in the order of the keys, so that `grep die.type=fair` finds them; in a JSON string of
/// JSON every quote would be escaped.
std::string Flatten(const SpanData& span) {
  const std::map<std::string_view, sdk::common::OwnedAttributeValue> sorted(span.GetAttributes().begin(),
                                                                            span.GetAttributes().end());
  std::string text;
  for (const auto& [key, value] : sorted) {
    if (!text.empty()) {
      text += ' ';
    }
    text.append(key).append("=");
    AppendValue(text, value);
  }
  return text;
}

void Write(const log::Logger& logger, const SpanData& span) {
  char parent[16] = {};
  const bool has_parent = span.GetParentSpanId().IsValid();
  if (has_parent) {
    span.GetParentSpanId().ToLowerBase16(opentelemetry::nostd::span<char, 16>{parent, 16});
  }
  const std::string start = Rfc3339(span.GetStartTime());
  const std::string attributes = Flatten(span);
  logger.With(Correlate(span.GetSpanContext()))
      .Info("span", {{"name", FromOtel(span.GetName())},
                     {"kind", Name(span.GetSpanKind())},
                     {"parent_span_id", std::string_view(parent, has_parent ? 16 : 0)},
                     {"start", std::string_view(start)},
                     {"duration_ms", std::chrono::duration<double, std::milli>(span.GetDuration()).count()},
                     {"status", Name(span.GetStatus())},
                     {"status_description", FromOtel(span.GetDescription())},
                     {"attributes", std::string_view(attributes)}});
}

class ConsoleExporter final : public Exporter {
 public:
  explicit ConsoleExporter(const log::Logger& logger) : logger_(logger) {}

  std::unique_ptr<Recordable> MakeRecordable() override { return std::make_unique<SpanData>(); }

  std::size_t Export(const Batch& batch, const Account&) override {
    for (const auto& span : batch) {
      Write(logger_, static_cast<const SpanData&>(*span));
    }
    return batch.size();
  }

 private:
  const log::Logger logger_;
};

}  // namespace

std::unique_ptr<Exporter> MakeConsoleExporter(const log::Logger& logger) {
  return std::make_unique<ConsoleExporter>(logger);
}

}  // namespace obs::trace
