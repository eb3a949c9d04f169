#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string_view>
#include <thread>

#include "obs/log/logger.h"
#include "obs/trace/backoff.h"
#include "obs/trace/collector.h"
#include "obs/trace/otlp_request.h"
#include "obs/trace/span_queue.h"
#include "obs/trace/throttle.h"

namespace obs::trace {

/// Sends spans by OTLP 1.x over HTTP, protobuf, on a thread of its own. Several requests are under way at
/// once, so that the time a collector takes for one does not bound how many spans go. What fails for the
/// moment is tried again as OTLP asks, all within `export_timeout`; while the collector is in trouble, one
/// request alone tries it. Spans that the collector rejects are not delivered. Losses are logged, at most
/// once in 30 s, and so is a warning of the collector.
class OtlpExporter {
 public:
  OtlpExporter(const Config& config, const opentelemetry::sdk::resource::Resource& resource,
               const log::Logger& logger);
  /// Gives up what has not been delivered.
  ~OtlpExporter();
  OtlpExporter(const OtlpExporter&) = delete;
  OtlpExporter& operator=(const OtlpExporter&) = delete;

  /// Where spans are put. It may outlive the exporter.
  const std::shared_ptr<SpanQueue>& queue() const { return queue_; }

  /// Closes the queue and sends what is there, without further attempts. False when the deadline passed
  /// first; what is left then fails at once.
  bool Shutdown(std::chrono::milliseconds deadline);

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kSlots = 8;
  static constexpr std::size_t kFirstLimit = 4;

  /// One request from its first attempt to its last.
  struct Delivery {
    OtlpRequest request;
    std::string_view bytes;
    Clock::time_point deadline;
    Clock::time_point sent{};  ///< the last attempt began
    Backoff backoff{};
    std::optional<Clock::time_point>
        pause_end{};  ///< of the pause before the next attempt; nothing while sending
  };

  void Run();
  void SendAgain(Clock::time_point now);
  void SendNew(Clock::time_point now);
  bool MaySendNew() const;
  bool finished() const;
  std::chrono::milliseconds UntilNextEvent(Clock::time_point now) const;
  void Attempt(std::size_t slot, Clock::time_point now);
  void AdaptLimit(const Collector::Answer& answer, std::chrono::nanoseconds answer_time);
  void Handle(const Collector::Answer& answer, Clock::time_point now);
  void Settle(std::size_t slot, const Collector::Answer& answer);
  void GiveUp();
  std::size_t Rejected(const Collector::Answer& answer, std::size_t count);
  void ReportFailure(std::string_view error, std::size_t count);
  void ReportShedding();

  const OtlpOrigin origin_;
  const std::chrono::milliseconds export_timeout_;
  const std::chrono::milliseconds schedule_delay_;
  const log::Logger logger_;
  Collector collector_;
  const std::shared_ptr<SpanQueue> queue_;

  // The thread's alone.
  std::array<std::optional<Delivery>, kSlots> deliveries_;
  std::size_t sending_ = 0;
  std::size_t paused_ = 0;
  std::size_t limit_ = kFirstLimit;  ///< of requests at once, as the collector can bear
  std::size_t answers_in_time_ = 0;  ///< since the limit changed
  Clock::time_point next_partial_;
  std::minstd_rand random_{std::random_device{}()};
  Throttle failure_throttle_;
  Throttle warning_throttle_;
  Throttle shedding_throttle_;
  std::uint64_t failed_ = 0;  ///< since the last line about it
  std::uint64_t dropped_reported_ = 0;
  std::uint64_t unsampled_reported_ = 0;

  std::atomic<bool> closing_{false};
  std::atomic<bool> abandoned_{false};
  std::mutex mutex_;
  std::condition_variable ended_;
  bool over_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace obs::trace
