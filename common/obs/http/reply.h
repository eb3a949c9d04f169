#pragma once

#include <string>
#include <string_view>

#include "obs/http/message.h"

namespace obs::http {

/// Appends the head of a response as it goes over the wire (RFC 9112), with Date, Content-Length, Connection
/// and the `traceresponse` header unless `trace_response` is empty. A status that has no content (204, 304)
/// gets no length and no type. Content-Type, Content-Length, Connection, Transfer-Encoding and Date of the
/// response's own headers are left out, and so is every header that would break the message: a name that is
/// no token, a value with a control character.
void AppendHead(std::string& out, const Response& response, bool close, std::string_view trace_response);

/// Whether a status has content at all.
bool HasContent(int status);

}  // namespace obs::http
