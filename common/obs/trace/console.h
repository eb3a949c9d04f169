#pragma once

#include <mutex>

#include "obs/log/logger.h"
#include "obs/trace/span_sink.h"

namespace obs::trace {

/// Writes one log line at INFO per finished span, in the moment it ends: the log has a queue of its own.
/// Thread-safe.
class Console final : public SpanSink {
 public:
  explicit Console(const log::Logger& logger) : logger_(logger) {}

  void Take(const TraceId& trace, std::string_view message) noexcept override;
  /// Takes no more spans.
  void Close();

  SpanCounters counters() const;

 private:
  const log::Logger logger_;
  mutable std::mutex mutex_;
  SpanCounters counters_;
  bool closed_ = false;
};

}  // namespace obs::trace
