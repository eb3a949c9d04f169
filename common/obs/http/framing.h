#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include "obs/error/error.h"
#include "obs/http/message.h"

namespace obs::http {

struct FramingLimits {
  std::size_t max_target_bytes;
  std::size_t max_header_bytes;
  std::size_t max_body_bytes;
};

struct Framing {
  enum class State { kHeader, kBody, kComplete, kRefused };
  State state = State::kHeader;      ///< what is still missing
  std::unique_ptr<Request> request;  ///< when complete
  std::size_t consumed = 0;          ///< bytes of the input that the request took, when complete
  bool wants_close = false;          ///< `Connection: close`, or HTTP/1.0
  bool expects_continue = false;     ///< while the body is missing: the client waits for 100
  std::optional<Error> error;        ///< when refused; the connection must be closed after the reply
};

/// Reads one request from the start of `input` (RFC 9112), refusing whatever two readers could understand in
/// two ways: that is what request smuggling lives on. Pure: safe from any thread.
Framing ReadRequest(std::string_view input, const FramingLimits& limits);

}  // namespace obs::http
