#pragma once

#include <cstdint>
#include <string_view>

#include "obs/trace/trace_id.h"

namespace obs::trace {

/// What became of the spans that ended: each is in one of these, and in one alone.
struct SpanCounters {
  std::uint64_t waiting = 0;   ///< for the exporter or for the collector's answer
  std::uint64_t exported = 0;  ///< delivered
  std::uint64_t failed = 0;    ///< their export failed or was given up
  std::uint64_t dropped = 0;   ///< there was no room for them, or nobody to take them any more
};

/// What takes finished spans.
class SpanSink {
 public:
  SpanSink() = default;
  virtual ~SpanSink() = default;
  SpanSink(const SpanSink&) = delete;
  SpanSink& operator=(const SpanSink&) = delete;

  /// `message`: the span as a `Span` message of OTLP. Called on the thread on which the span ended, by
  /// several at once; must not block.
  virtual void Take(const TraceId& trace, std::string_view message) noexcept = 0;
};

}  // namespace obs::trace
