#pragma once

#include <string_view>

#include "obs/http/message.h"

namespace frontend {

/// One embedded file with its content type and the headers that keep a page to its own origin.
/// Throws std::out_of_range for a name that is not in Assets().
obs::http::Response PageFile(std::string_view name);

/// Whether an Accept header prefers a page over JSON: it names text/html, as browsers do and curl does not.
bool WantsPage(std::string_view accept);

}  // namespace frontend
