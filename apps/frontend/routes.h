#pragma once

#include "obs/http/client.h"
#include "obs/http/server.h"

namespace frontend {

/// Registers the page and its files, `/dice`, `/dice/{die}`, `/roll` and `/roll-async`. The references must
/// outlive the server.
void AddRoutes(obs::http::Server& server, obs::http::Client& die_service, obs::http::Client& dice_roller);

}  // namespace frontend
