#pragma once

// Field numbers of opentelemetry-proto 1.x: trace.proto, common.proto, resource.proto, trace_service.proto.

namespace obs::trace::field {

constexpr int kRequestResourceSpans = 1;
constexpr int kResourceSpansResource = 1;
constexpr int kResourceSpansScopeSpans = 2;
constexpr int kScopeSpansScope = 1;
constexpr int kScopeSpansSpans = 2;
constexpr int kResourceAttributes = 1;
constexpr int kScopeName = 1;
constexpr int kScopeVersion = 2;
constexpr int kKeyValueKey = 1;
constexpr int kKeyValueValue = 2;
constexpr int kAnyString = 1;
constexpr int kAnyBool = 2;
constexpr int kAnyInt = 3;
constexpr int kAnyDouble = 4;
constexpr int kSpanTraceId = 1;
constexpr int kSpanSpanId = 2;
constexpr int kSpanTraceState = 3;
constexpr int kSpanParentSpanId = 4;
constexpr int kSpanName = 5;
constexpr int kSpanKind = 6;
constexpr int kSpanStart = 7;
constexpr int kSpanEnd = 8;
constexpr int kSpanAttributes = 9;
constexpr int kSpanDroppedAttributes = 10;
constexpr int kSpanStatus = 15;
constexpr int kSpanFlags = 16;
constexpr int kStatusMessage = 2;
constexpr int kStatusCode = 3;

}  // namespace obs::trace::field
