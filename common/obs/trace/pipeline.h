#pragma once

#include <opentelemetry/sdk/trace/processor.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include "obs/trace/exporter.h"
#include "obs/trace/tracer.h"

namespace obs::trace {

/// Where the spans of one exporter went: each that ended is waiting, exported, failed or dropped.
/// Thread-safe.
class Account {
 public:
  explicit Account(std::size_t capacity) : capacity_(capacity) {}

  /// One span more for the queue. False when it has no room or is closed; the span then counts as dropped.
  bool Admit();
  /// The exporter took `count` spans off the queue.
  void Take(std::size_t count) { waiting_ -= count; }
  /// What became of spans that the exporter took.
  void Settle(std::size_t exported, std::size_t failed) {
    exported_ += exported;
    failed_ += failed;
  }
  /// Admits no more.
  void Close() { End(closed_); }
  /// After the last export: what the queue lost while it was closing counts as dropped.
  void Drain() { dropped_ += waiting_.exchange(0); }
  /// Nobody waits for the exporter any longer: what is still queued shall fail at once.
  void Abandon() { End(abandoned_); }
  /// Waits before another attempt. False, and at once, when it is closed or abandoned.
  bool Rest(std::chrono::milliseconds pause) const;

  bool abandoned() const { return abandoned_; }
  std::size_t capacity() const { return capacity_; }
  std::size_t waiting() const { return waiting_; }
  std::uint64_t exported() const { return exported_; }
  std::uint64_t failed() const { return failed_; }
  std::uint64_t dropped() const { return dropped_; }

 private:
  void End(std::atomic<bool>& flag);

  const std::size_t capacity_;
  std::atomic<std::size_t> waiting_{0};
  std::atomic<std::uint64_t> exported_{0};
  std::atomic<std::uint64_t> failed_{0};
  std::atomic<std::uint64_t> dropped_{0};
  std::atomic<bool> closed_{false};
  std::atomic<bool> abandoned_{false};
  mutable std::mutex mutex_;
  mutable std::condition_variable ending_;
};

/// The SDK's batch processor before `exporter`, both wrapped so that `account` is exact.
std::unique_ptr<opentelemetry::sdk::trace::SpanProcessor> MakePipeline(std::unique_ptr<Exporter> exporter,
                                                                       const Config& config,
                                                                       std::shared_ptr<Account> account);

}  // namespace obs::trace
