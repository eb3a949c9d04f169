#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "obs/async/loop.h"
#include "obs/async/task.h"

namespace obs::http1 {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr& get() const { return reinterpret_cast<const sockaddr&>(storage); }
};
using SocketAddresses = std::vector<SocketAddress>;

/// The addresses of one host and port. The system's resolver can only block, so each look-up is a thread of
/// its own, one at a time; the answer is kept for a while. Thread-safe.
class Resolver {
 public:
  Resolver(std::string host, std::uint16_t port);

  /// Never empty. Throws SocketError kRefused when the name is not known, kTimeout at `deadline`.
  async::Task<std::shared_ptr<const SocketAddresses>> Resolve(async::Loop& loop, async::Deadline deadline);
  /// No address could be connected to: look the name up again next time.
  void Forget();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace obs::http1
