#include "obs/trace/otlp_request.h"

#include "obs/trace/otlp_fields.h"
#include "obs/trace/wire.h"

namespace obs::trace {
namespace {

constexpr std::size_t kLongestLength = wire::VarintSize(~std::uint64_t{0});

}  // namespace

OtlpRequest::OtlpRequest(std::size_t head_room, std::size_t expected) : head_room_(head_room) {
  bytes_.reserve(head_room + expected);
  bytes_.resize(head_room);
}

std::size_t OtlpRequest::HeadRoom(const OtlpOrigin& origin) {
  return 2 * (1 + kLongestLength) + wire::BytesSize(field::kResourceSpansResource, origin.resource.size()) +
         wire::BytesSize(field::kScopeSpansScope, origin.scope.size());
}

std::size_t OtlpRequest::SizeOf(std::string_view span) {
  return wire::BytesSize(field::kScopeSpansSpans, span.size());
}

void OtlpRequest::Add(std::string_view span) {
  char head[2 * kLongestLength];
  const char* const end = wire::PutHead(head, field::kScopeSpansSpans, span.size());
  bytes_.append(head, static_cast<std::size_t>(end - head)).append(span);
  ++spans_;
}

void OtlpRequest::Clear() {
  bytes_.resize(head_room_);
  spans_ = 0;
}

std::string_view OtlpRequest::Finish(const OtlpOrigin& origin) {
  const std::size_t scope_spans = wire::BytesSize(field::kScopeSpansScope, origin.scope.size()) + size();
  const std::size_t resource_spans = wire::BytesSize(field::kResourceSpansResource, origin.resource.size()) +
                                     wire::BytesSize(field::kResourceSpansScopeSpans, scope_spans);
  const std::size_t request = wire::BytesSize(field::kRequestResourceSpans, resource_spans);
  const std::size_t begin = bytes_.size() - request;
  char* to = &bytes_[begin];
  to = wire::PutHead(to, field::kRequestResourceSpans, resource_spans);
  to = wire::PutBytes(to, field::kResourceSpansResource, origin.resource);
  to = wire::PutHead(to, field::kResourceSpansScopeSpans, scope_spans);
  wire::PutBytes(to, field::kScopeSpansScope, origin.scope);
  return std::string_view(bytes_).substr(begin);
}

}  // namespace obs::trace
