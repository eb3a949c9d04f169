#pragma once

#include "die_client.h"
#include "obs/http/server.h"
#include "roller.h"

namespace dice_roller {

/// Registers `/`, `/roll` and `/roll-async`. The references must outlive the server.
void AddRoutes(obs::http::Server& server, DieClient& dice, const Roller& roller);

}  // namespace dice_roller
