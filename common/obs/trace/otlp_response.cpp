#include "obs/trace/otlp_response.h"

#include <limits>

#include "obs/trace/wire.h"

namespace obs::trace {
namespace {

void ReadPartialSuccess(std::string_view message, PartialSuccess& result) {
  while (const auto field = wire::TakeField(message)) {
    if (field->number == 1) {  // an int64
      const bool negative = field->integer > std::numeric_limits<std::int64_t>::max();
      result.rejected_spans = negative ? 0 : field->integer;
    } else if (field->number == 2) {
      result.message = field->bytes;
    }
  }
}

}  // namespace

PartialSuccess DecodeResponse(std::string_view response) {
  PartialSuccess result;
  while (const auto field = wire::TakeField(response)) {
    if (field->number == 1) {
      ReadPartialSuccess(field->bytes, result);
    }
  }
  return result;
}

}  // namespace obs::trace
