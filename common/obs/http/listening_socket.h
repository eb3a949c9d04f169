#pragma once

#include <chrono>
#include <cstdint>

namespace obs::http {

/// Stops this process from accepting connections on `port`, which Pistache cannot do: it keeps its listening
/// socket open until it is destroyed. Connections that clients have made already are still accepted by the
/// thread that does so, for at most `deadline`; later ones are refused. Returns false when there is no such
/// socket.
bool CloseListeningSocket(std::uint16_t port, std::chrono::milliseconds deadline);

}  // namespace obs::http
