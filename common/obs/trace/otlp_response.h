#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace obs::trace {

/// What a collector says of an export that it took (opentelemetry-proto 1.x, ExportTracePartialSuccess).
struct PartialSuccess {
  std::uint64_t rejected_spans = 0;
  std::string message;  ///< why; or, when it rejected none, a warning
};

/// Reads an ExportTraceServiceResponse as far as it is one: bytes that are not say nothing, and a text that
/// is cut off is taken as far as it goes.
PartialSuccess DecodeResponse(std::string_view response);

}  // namespace obs::trace
