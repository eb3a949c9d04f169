#include "support/otlp_receiver.h"

#include <algorithm>
#include <exception>
#include <iterator>

namespace support {
namespace {

/// An ExportTraceServiceResponse; `rejected` and the length of `message` are below 120.
std::string PartialSuccess(std::size_t rejected, const std::string& message) {
  std::string partial = {'\x08', static_cast<char>(rejected), '\x12', static_cast<char>(message.size())};
  partial += message;
  return std::string{'\x0a', static_cast<char>(partial.size())} + partial;
}

}  // namespace

OtlpReceiver::OtlpReceiver(Mode mode, std::uint16_t port)
    : mode_(mode), server_([this](const FakeRequest& request) { return Receive(request); }, port) {}

std::vector<Span> OtlpReceiver::Spans() const {
  std::lock_guard lock(mutex_);
  return spans_;
}

std::vector<Span> OtlpReceiver::SpansOf(const std::string& trace_id) const {
  std::lock_guard lock(mutex_);
  std::vector<Span> found;
  std::copy_if(spans_.begin(), spans_.end(), std::back_inserter(found),
               [&](const Span& span) { return span.trace_id == trace_id; });
  return found;
}

std::vector<Span> OtlpReceiver::WaitForSpans(const std::string& trace_id, std::size_t count,
                                             std::chrono::milliseconds limit) const {
  Eventually([&] { return SpansOf(trace_id).size() >= count; }, limit);
  return SpansOf(trace_id);
}

FakeReply OtlpReceiver::Receive(const FakeRequest& request) {
  FakeReply reply;
  reply.content_type = "application/x-protobuf";
  reply.body.clear();  // an empty ExportTraceServiceResponse
  try {
    if (request.method != "POST" || request.target != "/v1/traces" ||
        request.Header("Content-Type") != "application/x-protobuf") {
      throw std::runtime_error("not OTLP/HTTP with protobuf");
    }
    std::vector<Span> spans = DecodeTraces(request.body);
    if (mode_ == Mode::kPicky && spans.size() > 1) {
      reply.body = PartialSuccess(spans.size() - 1, "no room");
      spans.resize(1);
    }
    const bool refused = mode_ == Mode::kRefusing || (mode_ == Mode::kStarting && !started_.exchange(true));
    if (refused) reply.status = 503;
    if (!refused && mode_ != Mode::kHanging) {
      std::lock_guard lock(mutex_);
      std::move(spans.begin(), spans.end(), std::back_inserter(spans_));
    }
  } catch (const std::exception&) {
    ++malformed_;
    reply.status = 400;
    return reply;
  }
  if (mode_ == Mode::kSlow) reply.delay = 1s;
  reply.hang = mode_ == Mode::kHanging;
  return reply;
}

}  // namespace support
