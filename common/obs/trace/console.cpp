#include "obs/trace/console.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <iterator>
#include <map>
#include <string>
#include <type_traits>

#include "obs/trace/hex.h"
#include "obs/trace/otlp_reader.h"

namespace obs::trace {
namespace {

std::string_view KindName(std::uint64_t kind) {
  switch (kind) {
    case 2:
      return "server";
    case 3:
      return "client";
    default:
      return "internal";
  }
}

std::string_view StatusName(std::uint64_t status) {
  switch (status) {
    case 1:
      return "ok";
    case 2:
      return "error";
    default:
      return "unset";
  }
}

std::string Rfc3339(std::chrono::nanoseconds since_1970) {
  const auto since = std::chrono::duration_cast<std::chrono::microseconds>(since_1970);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", fmt::gmtime(seconds.count()), (since - seconds).count());
}

void AppendValue(std::string& text, const Attribute::Value& value) {
  std::visit(
      [&text](const auto& v) {
        if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::string_view>) {
          const bool bare = !v.empty() && v.find_first_of(" '=") == std::string::npos;
          fmt::format_to(std::back_inserter(text), fmt::runtime(bare ? "{}" : "'{}'"), v);
        } else {
          fmt::format_to(std::back_inserter(text), "{}", v);
        }
      },
      value);
}

/// key=value pairs in the order of the keys, so that `grep die.type=fair` finds them; in a JSON string of
/// JSON every quote would be escaped.
std::string Flatten(const SpanView& span) {
  std::map<std::string_view, Attribute::Value> sorted;
  ForEachAttribute(span.message, field::kSpanAttributes,
                   [&](const Attribute& attribute) { sorted.emplace(attribute.key, attribute.value); });
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

log::Correlation Correlate(const SpanView& span) {
  log::Correlation correlation;
  PutHex(correlation.trace_id.data(), span.trace_id);
  PutHex(correlation.span_id.data(), span.span_id);
  correlation.trace_flags = static_cast<std::uint8_t>(span.flags);
  return correlation;
}

void Write(const log::Logger& logger, const SpanView& span) {
  const std::string parent = ToHex(span.parent_id);
  const std::string start = Rfc3339(std::chrono::nanoseconds(span.start));
  const std::string attributes = Flatten(span);
  const std::chrono::duration<double, std::milli> duration = std::chrono::nanoseconds(span.end - span.start);
  logger.With(Correlate(span))
      .Info("span", {{"name", span.name},
                     {"kind", KindName(span.kind)},
                     {"parent_span_id", std::string_view(parent)},
                     {"start", std::string_view(start)},
                     {"duration_ms", duration.count()},
                     {"status", StatusName(span.status)},
                     {"status_description", span.status_message},
                     {"attributes", std::string_view(attributes)}});
}

}  // namespace

void Console::Take(const TraceId&, std::string_view message) noexcept {
  {
    const std::lock_guard lock(mutex_);
    ++(closed_ ? counters_.dropped : counters_.exported);
    if (closed_) {
      return;
    }
  }
  Write(logger_, SpanView(message));
}

void Console::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

SpanCounters Console::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

}  // namespace obs::trace
