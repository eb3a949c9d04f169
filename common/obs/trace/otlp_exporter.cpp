#include "obs/trace/otlp_exporter.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "obs/trace/otlp_response.h"

namespace obs::trace {
namespace {

using std::chrono::milliseconds;

/// Losses are looked for at least as often.
constexpr milliseconds kLongestWait{1000};

/// The thread takes none of the program's signals, and a collector that hangs up is an error code for it, not
/// SIGPIPE.
void BlockSignals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

/// Rounded up: a wait that ends too early would be followed by one of nothing.
template <typename Duration>
milliseconds RoundUp(Duration duration) {
  return std::chrono::ceil<milliseconds>(duration);
}

}  // namespace

OtlpExporter::OtlpExporter(const Config& config, const opentelemetry::sdk::resource::Resource& resource,
                           const log::Logger& logger)
    : origin_(resource, "obs", config.service_version),
      export_timeout_(config.export_timeout),
      schedule_delay_(config.schedule_delay),
      logger_(logger),
      collector_(config, kSlots),
      queue_(
          std::make_shared<SpanQueue>(config, OtlpRequest::HeadRoom(origin_), [this] { collector_.Wake(); })),
      thread_([this] { Run(); }) {}

OtlpExporter::~OtlpExporter() {
  Shutdown(milliseconds(0));
  thread_.join();
}

bool OtlpExporter::Shutdown(milliseconds deadline) {
  queue_->Close();
  closing_ = true;
  collector_.Wake();
  std::unique_lock lock(mutex_);
  if (ended_.wait_for(lock, deadline, [this] { return over_; })) {
    return true;
  }
  lock.unlock();
  abandoned_ = true;
  collector_.Wake();
  return false;
}

void OtlpExporter::Run() {
  BlockSignals();
  next_partial_ = Clock::now() + schedule_delay_;
  while (!abandoned_) {
    const auto now = Clock::now();
    SendAgain(now);
    SendNew(now);
    if (finished()) {
      break;
    }
    for (const Collector::Answer& answer : collector_.Wait(UntilNextEvent(now))) {
      Handle(answer, Clock::now());
    }
    ReportShedding();
  }
  GiveUp();
  ReportShedding();
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  ended_.notify_all();
}

/// Whether everything that there was went somewhere.
bool OtlpExporter::finished() const { return closing_ && sending_ + paused_ == 0 && queue_->empty(); }

/// A collector that refused a request is not bothered with another before that one is through.
bool OtlpExporter::MaySendNew() const { return paused_ == 0 && sending_ < limit_; }

void OtlpExporter::SendAgain(Clock::time_point now) {
  for (std::size_t slot = 0; paused_ > 0 && slot < kSlots; ++slot) {
    const auto& delivery = deliveries_[slot];
    if (!delivery || !delivery->pause_end) {
      continue;
    }
    if (closing_ || now >= delivery->deadline) {
      --paused_;
      Settle(slot,
             {.error = closing_ ? "there was no time for another attempt" : "the collector did not recover"});
    } else if (now >= *delivery->pause_end && sending_ < limit_) {
      --paused_;
      Attempt(slot, now);
    }
  }
}

void OtlpExporter::SendNew(Clock::time_point now) {
  while (MaySendNew()) {
    auto request = queue_->NextRequest(false);
    if (!request && (closing_ || now >= next_partial_)) {
      next_partial_ = now + schedule_delay_;
      request = queue_->NextRequest(true);
    }
    if (!request) {
      return;
    }
    const auto free = std::find(deliveries_.begin(), deliveries_.end(), std::nullopt);
    free->emplace(Delivery{.request = std::move(*request), .bytes = {}, .deadline = now + export_timeout_});
    (*free)->bytes = (*free)->request.Finish(origin_);
    Attempt(static_cast<std::size_t>(free - deliveries_.begin()), now);
  }
}

milliseconds OtlpExporter::UntilNextEvent(Clock::time_point now) const {
  auto next = now + kLongestWait;
  if (MaySendNew()) {
    next = std::min(next, next_partial_);
  }
  for (const auto& delivery : deliveries_) {
    if (delivery && delivery->pause_end) {
      next = std::min(next, sending_ < limit_ ? *delivery->pause_end : delivery->deadline);
    }
  }
  return RoundUp(next - now);
}

void OtlpExporter::Attempt(std::size_t slot, Clock::time_point now) {
  Delivery& delivery = *deliveries_[slot];
  delivery.pause_end.reset();
  delivery.sent = now;
  ++sending_;
  collector_.Post(slot, delivery.bytes, RoundUp(delivery.deadline - now));
}

/// More requests at once carry more spans past the time that each takes. But where the collector's own work
/// is what takes the time, they only make each wait for the others, until they are too late.
void OtlpExporter::AdaptLimit(const Collector::Answer& answer, std::chrono::nanoseconds answer_time) {
  ++answers_in_time_;
  if (answer.temporary || answer.silent) {
    limit_ = 1;
    answers_in_time_ = 0;
  } else if (answer_time > export_timeout_ / 2) {
    limit_ = std::max<std::size_t>(limit_ / 2, 1);
    answers_in_time_ = 0;
  } else if (answers_in_time_ >= limit_) {
    limit_ = std::min(limit_ + 1, kSlots);
    answers_in_time_ = 0;
  }
}

void OtlpExporter::Handle(const Collector::Answer& answer, Clock::time_point now) {
  --sending_;
  Delivery& delivery = *deliveries_[answer.slot];
  AdaptLimit(answer, now - delivery.sent);
  if (answer.temporary && !closing_) {
    const milliseconds pause =
        answer.retry_after.count() > 0 ? answer.retry_after : delivery.backoff.Next(random_);
    if (now + pause < delivery.deadline) {
      delivery.pause_end = now + pause;
      ++paused_;
      return;
    }
  }
  Settle(answer.slot, answer);
}

void OtlpExporter::Settle(std::size_t slot, const Collector::Answer& answer) {
  OtlpRequest request = std::move(deliveries_[slot]->request);
  deliveries_[slot].reset();
  std::size_t exported = 0;
  if (answer.error.empty()) {
    exported = request.spans() - Rejected(answer, request.spans());
  } else {
    ReportFailure(answer.error, request.spans());
  }
  queue_->Settle(std::move(request), exported);
}

/// Nobody waits any longer: what is left fails at once.
void OtlpExporter::GiveUp() {
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    if (deliveries_[slot]) {
      collector_.Cancel(slot);
      Settle(slot, {.error = "the collector did not answer before the end"});
    }
  }
  while (auto request = queue_->NextRequest(true)) {
    ReportFailure("the collector did not answer before the end", request->spans());
    queue_->Settle(std::move(*request), 0);
  }
}

/// How many of `count` spans the collector rejected. Sending these again would not help (OTLP forbids it).
std::size_t OtlpExporter::Rejected(const Collector::Answer& answer, std::size_t count) {
  const PartialSuccess partial = DecodeResponse(answer.body);
  const auto rejected = static_cast<std::size_t>(std::min<std::uint64_t>(partial.rejected_spans, count));
  if (rejected > 0) {
    ReportFailure(fmt::format("the collector rejected spans: {}", partial.message), rejected);
  } else if (!partial.message.empty() && warning_throttle_.Pass()) {
    logger_.Warn("The collector warns", {{"warning", std::string_view(partial.message)}});
  }
  return rejected;
}

void OtlpExporter::ReportFailure(std::string_view error, std::size_t count) {
  failed_ += count;
  if (failure_throttle_.Pass()) {
    logger_.Warn("Spans could not be exported", {{"error", error}, {"spans", failed_}});
    failed_ = 0;
  }
}

void OtlpExporter::ReportShedding() {
  if (closing_) {  // what is dropped now is not dropped because of the collector
    return;
  }
  const std::uint64_t dropped = queue_->counters().dropped;
  const std::uint64_t unsampled = queue_->unsampled_traces();
  if ((dropped > dropped_reported_ || unsampled > unsampled_reported_) && shedding_throttle_.Pass()) {
    logger_.Warn("Traces are left out because too many spans wait for the collector",
                 {{"traces", unsampled - std::exchange(unsampled_reported_, unsampled)},
                  {"spans", dropped - std::exchange(dropped_reported_, dropped)}});
  }
}

}  // namespace obs::trace
