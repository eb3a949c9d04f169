#pragma once

#include <string_view>

#include "obs/error/error.h"
#include "obs/http/message.h"

namespace obs::http {

/// The HTTP status of an error.
int StatusOf(ErrorCode code);

/// An application/problem+json answer (RFC 9457) with `type` ("urn:problem-type:" and the error's type),
/// `title`, `status`, `detail` and `trace_id`. The error's cause is not in it.
Response Problem(const Error& error, std::string_view trace_id);

}  // namespace obs::http
