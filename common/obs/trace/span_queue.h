#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "obs/trace/otlp_request.h"
#include "obs/trace/span_sink.h"
#include "obs/trace/trace_shedder.h"
#include "obs/trace/tracer.h"

namespace obs::trace {

/// Finished spans on their way to a collector, kept as the requests in which they will be sent. Bounded in
/// spans and in bytes; what is being sent counts until it is settled. Thread-safe.
class SpanQueue final : public SpanSink {
 public:
  /// `wake` is called when a request is full, so that no span but the last of a request costs its thread a
  /// system call. It must not block or use the queue.
  SpanQueue(const Config& config, std::size_t head_room, std::function<void()> wake);

  /// Takes the span, or drops it when there is no room, or when its trace is one of those that are lost to
  /// keep the others whole.
  void Take(const TraceId& trace, std::string_view message) noexcept override;
  /// Whether so much waits that no trace should begin. Takes no lock.
  bool filling() const { return filling_.load(std::memory_order_relaxed); }
  void CountUnsampledTrace() { unsampled_traces_.fetch_add(1, std::memory_order_relaxed); }

  /// Takes no more spans, and calls `wake` no more.
  void Close();
  /// The oldest full request; if there is none and `partial`, what there is.
  std::optional<OtlpRequest> NextRequest(bool partial);
  /// What became of a request that NextRequest gave: `exported` of its spans were delivered, the others not.
  void Settle(OtlpRequest request, std::size_t exported);
  bool empty() const;  ///< there is no next request

  SpanCounters counters() const;
  std::size_t capacity() const { return max_spans_; }
  std::uint64_t unsampled_traces() const { return unsampled_traces_.load(std::memory_order_relaxed); }

 private:
  OtlpRequest MakeRequest();
  double Fill() const;
  void CountWaiting(std::ptrdiff_t spans, std::ptrdiff_t bytes);

  const std::size_t max_spans_;
  const std::size_t max_bytes_;
  const std::size_t request_spans_;
  const std::size_t request_bytes_;
  const std::size_t head_room_;
  const std::function<void()> wake_;

  mutable std::mutex mutex_;
  SpanCounters counters_;
  std::size_t bytes_ = 0;
  bool closed_ = false;
  OtlpRequest open_;
  std::deque<OtlpRequest> full_;
  std::vector<OtlpRequest> spare_;  ///< memory of requests that were sent, for the next
  std::size_t usual_bytes_ = 0;     ///< of a full request
  TraceShedder shedder_;

  std::atomic<bool> filling_{false};
  std::atomic<std::uint64_t> unsampled_traces_{0};
};

}  // namespace obs::trace
