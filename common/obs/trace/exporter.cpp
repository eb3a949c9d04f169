#include "obs/trace/exporter.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "obs/trace/collector.h"
#include "obs/trace/otlp_response.h"
#include "obs/trace/otlp_span.h"
#include "obs/trace/throttle.h"

namespace obs::trace {
namespace {

namespace sdk = opentelemetry::sdk;
using sdk::trace::Recordable;

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
      : origin_(resource, "obs", config.service_version), collector_(config), logger_(logger) {}

  std::unique_ptr<Recordable> MakeRecordable() override { return std::make_unique<OtlpSpan>(); }

  std::size_t Export(const Batch& batch) override {
    const Collector::Answer answer = collector_.Post(EncodeRequest(origin_, Encode(batch)));
    if (!answer.error.empty()) {
      ReportLoss(answer.error, batch.size());
      return 0;
    }
    return batch.size() - Rejected(DecodeResponse(answer.body), batch.size());
  }

 private:
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
