#include "obs/trace/exporter.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <utility>

#include "obs/trace/collector.h"
#include "obs/trace/otlp_response.h"
#include "obs/trace/otlp_span.h"
#include "obs/trace/pipeline.h"
#include "obs/trace/throttle.h"

namespace obs::trace {
namespace {

namespace sdk = opentelemetry::sdk;
using sdk::trace::Recordable;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// The pauses between attempts: each twice as long as the last, and shorter by chance by up to a half, so
/// that services that lost the same collector do not all come back at once.
class Backoff {
 public:
  milliseconds Next() {
    const milliseconds longest = std::exchange(longest_, std::min(2 * longest_, kMax));
    std::uniform_int_distribution<milliseconds::rep> pause(longest.count() / 2, longest.count());
    return milliseconds(pause(random_));
  }

 private:
  static constexpr milliseconds kFirst{100};
  static constexpr milliseconds kMax{5000};

  std::minstd_rand random_{std::random_device{}()};
  milliseconds longest_ = kFirst;
};

/// Takes the spans apart: what is encoded need not wait for the collector.
std::string Encode(const Exporter::Batch& batch) {
  std::string spans;
  for (std::unique_ptr<Recordable>& span : batch) {
    AppendSpan(spans, static_cast<const OtlpSpan&>(*span));
    span.reset();
  }
  return spans;
}

class OtlpExporter final : public Exporter {
 public:
  OtlpExporter(const Config& config, const sdk::resource::Resource& resource, const log::Logger& logger)
      : origin_(resource, "obs", config.service_version),
        timeout_(config.export_timeout),
        limits_(config.limits),
        collector_(config),
        logger_(logger) {}

  std::unique_ptr<Recordable> MakeRecordable() override { return std::make_unique<OtlpSpan>(limits_); }

  std::size_t Export(const Batch& batch, const Account& account) override {
    const Collector::Answer answer = Deliver(EncodeRequest(origin_, Encode(batch)), account);
    if (!answer.error.empty()) {
      ReportLoss(answer.error, batch.size());
      return 0;
    }
    return batch.size() - Rejected(DecodeResponse(answer.body), batch.size());
  }

 private:
  /// The answer to the last attempt.
  Collector::Answer Deliver(const std::string& request, const Account& account) {
    const auto deadline = steady_clock::now() + timeout_;
    const auto left = [deadline] {
      return std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now());
    };
    Backoff backoff;
    for (;;) {
      Collector::Answer answer = collector_.Post(request, left());
      if (!answer.temporary) {
        return answer;
      }
      const milliseconds pause = answer.retry_after.count() > 0 ? answer.retry_after : backoff.Next();
      if (pause >= left() || !account.Rest(pause)) {
        return answer;
      }
    }
  }

  /// How many of `count` spans the collector rejected. Sending these again would not help (OTLP forbids it).
  std::size_t Rejected(const PartialSuccess& partial, std::size_t count) {
    const auto rejected = static_cast<std::size_t>(std::min<std::uint64_t>(partial.rejected_spans, count));
    if (rejected > 0) {
      ReportLoss(fmt::format("the collector rejected spans: {}", partial.message), rejected);
    } else if (!partial.message.empty() && warning_throttle_.Pass()) {
      logger_.Warn("The collector warns", {{"warning", std::string_view(partial.message)}});
    }
    return rejected;
  }

  void ReportLoss(std::string_view error, std::size_t count) {
    lost_ += count;
    if (loss_throttle_.Pass()) {
      logger_.Warn("Spans could not be exported", {{"error", error}, {"spans", lost_}});
      lost_ = 0;
    }
  }

  const OtlpOrigin origin_;
  const milliseconds timeout_;
  const SpanLimits limits_;
  Collector collector_;
  const log::Logger logger_;
  Throttle loss_throttle_;
  Throttle warning_throttle_;
  std::uint64_t lost_ = 0;  ///< since the last line about it
};

}  // namespace

std::unique_ptr<Exporter> MakeOtlpExporter(const Config& config, const sdk::resource::Resource& resource,
                                           const log::Logger& logger) {
  return std::make_unique<OtlpExporter>(config, resource, logger);
}

}  // namespace obs::trace
