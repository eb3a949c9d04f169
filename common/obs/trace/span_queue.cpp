#include "obs/trace/span_queue.h"

#include <algorithm>
#include <utility>

namespace obs::trace {
namespace {

/// Above this share of its bounds a queue is filling.
constexpr double kFilling = 0.75;
/// A request has at most this share of the queue's bytes, so that long spans do not wait for a request that
/// is as large as the queue. And it is no larger than this, so that few bytes wait, yet so large that the
/// allocator gives it back to the kernel as soon as it is freed.
constexpr std::size_t kRequestsInQueue = 4;
constexpr std::size_t kMaxRequestBytes = std::size_t{128} << 10;
constexpr std::size_t kSpareRequests = 2;

}  // namespace

SpanQueue::SpanQueue(const Config& config, std::size_t head_room, std::function<void()> wake)
    : max_spans_(config.queue_size),
      max_bytes_(config.queue_bytes),
      request_spans_(config.batch_size),
      request_bytes_(std::min(kMaxRequestBytes, config.queue_bytes / kRequestsInQueue)),
      head_room_(head_room),
      wake_(std::move(wake)),
      open_(head_room, 0) {}

void SpanQueue::Take(const TraceId& trace, std::string_view message) noexcept {
  const std::size_t size = OtlpRequest::SizeOf(message);
  const std::lock_guard lock(mutex_);
  if (closed_ || shedder_.Remembers(trace)) {
    ++counters_.dropped;
    return;
  }
  const bool room = counters_.waiting < max_spans_ && bytes_ + size <= max_bytes_;
  if (!room || shedder_.Sheds(trace, Fill())) {
    ++counters_.dropped;
    shedder_.Remember(trace);
    return;
  }
  open_.Add(message);
  CountWaiting(1, static_cast<std::ptrdiff_t>(size));
  if (open_.spans() >= request_spans_ || open_.size() >= request_bytes_) {
    usual_bytes_ = open_.size() + open_.size() / 16;
    full_.push_back(std::exchange(open_, MakeRequest()));
    wake_();
  }
}

void SpanQueue::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

std::optional<OtlpRequest> SpanQueue::NextRequest(bool partial) {
  const std::lock_guard lock(mutex_);
  std::optional<OtlpRequest> next;
  if (!full_.empty()) {
    next = std::move(full_.front());
    full_.pop_front();
  } else if (partial && open_.spans() > 0) {
    next = std::exchange(open_, MakeRequest());
  }
  return next;
}

void SpanQueue::Settle(OtlpRequest request, std::size_t exported) {
  const std::lock_guard lock(mutex_);
  counters_.exported += exported;
  counters_.failed += request.spans() - exported;
  CountWaiting(-static_cast<std::ptrdiff_t>(request.spans()), -static_cast<std::ptrdiff_t>(request.size()));
  if (spare_.size() < kSpareRequests && request.capacity() <= head_room_ + 2 * usual_bytes_) {
    request.Clear();
    spare_.push_back(std::move(request));
  }
}

bool SpanQueue::empty() const {
  const std::lock_guard lock(mutex_);
  return full_.empty() && open_.spans() == 0;
}

SpanCounters SpanQueue::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

OtlpRequest SpanQueue::MakeRequest() {
  if (spare_.empty()) {
    return {head_room_, usual_bytes_};
  }
  OtlpRequest request = std::move(spare_.back());
  spare_.pop_back();
  return request;
}

double SpanQueue::Fill() const {
  return std::max(static_cast<double>(counters_.waiting) / static_cast<double>(max_spans_),
                  static_cast<double>(bytes_) / static_cast<double>(max_bytes_));
}

void SpanQueue::CountWaiting(std::ptrdiff_t spans, std::ptrdiff_t bytes) {
  counters_.waiting += static_cast<std::uint64_t>(spans);
  bytes_ += static_cast<std::size_t>(bytes);
  const bool filling = Fill() >= kFilling;
  if (filling != filling_.load(std::memory_order_relaxed)) {
    filling_.store(filling, std::memory_order_relaxed);
  }
}

}  // namespace obs::trace
