#include "roll_recorder.h"

namespace dice_roller {
namespace {

class TelemetryRecord : public RollRecord {
 public:
  TelemetryRecord(RollMetrics& metrics, obs::trace::Span span, const obs::log::Logger& logger, const Die& die,
                  int index, std::string_view mode)
      : metrics_(metrics), span_(std::move(span)), logger_(logger), die_(die), index_(index), mode_(mode) {}

  void Succeeded(int result) override {
    span_.Set({"roll.result", result});
    metrics_.rolls.With({die_.identifier, mode_, "success"}).Increment();
    metrics_.results.With({die_.identifier, std::to_string(result)}).Increment();
    logger_.With(span_.correlation())
        .Info("Roll completed",
              {{"die", die_.identifier}, {"index", index_}, {"result", result}, {"mode", mode_}});
  }

  void Failed() override {
    span_.Fail("roll-failed", "The die's error rate struck.");
    metrics_.rolls.With({die_.identifier, mode_, "error"}).Increment();
    logger_.With(span_.correlation())
        .Error("Roll failed", {{"die", die_.identifier}, {"index", index_}, {"mode", mode_}});
  }

 private:
  RollMetrics& metrics_;
  obs::trace::Span span_;
  const obs::log::Logger& logger_;
  const Die& die_;
  const int index_;
  const std::string_view mode_;
};

}  // namespace

RollMetrics::RollMetrics(obs::metrics::Registry& registry)
    : rolls(registry.AddCounter("dice_rolls_total",
                                "Rolls, by die, mode sync or async, and result success or error.",
                                {"die", "mode", "result"})),
      results(registry.AddCounter("dice_roll_results_total", "How often each face of a die came up.",
                                  {"die", "face"})) {}

TelemetryRecorder::TelemetryRecorder(RollMetrics& metrics, const obs::trace::Tracer& tracer,
                                     const obs::http::Exchange& exchange, std::string_view mode)
    : metrics_(metrics), tracer_(tracer), exchange_(exchange), mode_(mode) {}

std::unique_ptr<RollRecord> TelemetryRecorder::Begin(const Die& die, int index) {
  auto span = tracer_.Start("roll", obs::trace::Kind::kInternal, exchange_.span.context(),
                            {{"die.type", die.identifier}, {"roll.index", index}});
  return std::make_unique<TelemetryRecord>(metrics_, std::move(span), exchange_.logger, die, index, mode_);
}

}  // namespace dice_roller
