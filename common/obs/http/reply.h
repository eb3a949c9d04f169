#pragma once

#include <string>
#include <string_view>

#include "obs/http/message.h"

namespace obs::http {

/// A response as it goes over the wire (RFC 9112), with Date, Content-Length and Connection, and the
/// `traceresponse` header unless `trace_response` is empty. `head_only`: the body is left out, its length is
/// not.
std::string Serialize(const Response& response, bool head_only, bool close, std::string_view trace_response);

}  // namespace obs::http
