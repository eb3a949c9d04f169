#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "obs/trace/otlp_span.h"

namespace obs::trace {

/// An ExportTraceServiceRequest that grows span by span. A message's length stands before it, so the head is
/// written last, into room that is left for it: the spans are never copied again.
class OtlpRequest {
 public:
  OtlpRequest() = default;
  /// `head_room` as HeadRoom() gives it; `expected` bytes of spans.
  OtlpRequest(std::size_t head_room, std::size_t expected);

  static std::size_t HeadRoom(const OtlpOrigin& origin);
  /// Bytes that a span adds.
  static std::size_t SizeOf(std::string_view span);

  /// `span`: a `Span` message.
  void Add(std::string_view span);
  /// Forgets the spans and keeps the memory.
  void Clear();
  /// The bytes to send; valid while this lives and is not moved.
  std::string_view Finish(const OtlpOrigin& origin);

  std::size_t spans() const { return spans_; }
  std::size_t size() const { return bytes_.size() - head_room_; }  ///< of the spans
  std::size_t capacity() const { return bytes_.capacity(); }

 private:
  std::size_t head_room_ = 0;
  std::size_t spans_ = 0;
  std::string bytes_;
};

}  // namespace obs::trace
