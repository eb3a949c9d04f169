#include "obs/http1/resolver.h"

#include <netdb.h>

#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include "obs/async/wake_up.h"
#include "obs/http1/socket.h"

namespace obs::http1 {
namespace {

/// How long an answer is used. The system's resolver does not say how long it holds.
constexpr std::chrono::seconds kKept{5};

/// `flags`: AI_NUMERICHOST looks nowhere.
std::shared_ptr<const SocketAddresses> LookUp(const std::string& host, std::uint16_t port, int flags,
                                              std::string& error) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (code != 0) {
    error = "the name " + host + " cannot be resolved: " + ::gai_strerror(code);
    return nullptr;
  }
  auto addresses = std::make_shared<SocketAddresses>();
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    SocketAddress address;
    std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
    address.size = entry->ai_addrlen;
    addresses->push_back(address);
  }
  ::freeaddrinfo(found);
  return addresses;
}

}  // namespace

struct Resolver::State {
  std::string host;
  std::uint16_t port = 0;
  bool numeric = false;

  std::mutex mutex;
  std::shared_ptr<const SocketAddresses> addresses;
  std::string error;
  async::Clock::time_point until;  ///< `addresses` or `error` holds until then
  bool looking = false;

  struct Waiter {
    std::shared_ptr<async::Mailbox> mailbox;
    async::Loop* loop;
    async::Loop::Token token;
  };
  std::vector<Waiter> waiters;
};

Resolver::Resolver(std::string host, std::uint16_t port) : state_(std::make_shared<State>()) {
  std::string error;
  state_->addresses = LookUp(host, port, AI_NUMERICHOST, error);
  state_->numeric = state_->addresses != nullptr;
  state_->host = std::move(host);
  state_->port = port;
}

async::Task<std::shared_ptr<const SocketAddresses>> Resolver::Resolve(async::Loop& loop,
                                                                      async::Deadline deadline) {
  if (state_->numeric) co_return state_->addresses;
  async::WakeUp answer(loop, deadline);
  bool start = false;
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->addresses && async::Clock::now() < state_->until) co_return state_->addresses;
    state_->waiters.push_back({loop.mailbox(), &loop, answer.token()});
    start = !std::exchange(state_->looking, true);
  }
  if (start) {
    // Detached, because a name server that is silent can hold it for long after its askers are gone.
    std::thread([state = state_] {
      std::string error;
      auto found = LookUp(state->host, state->port, 0, error);
      std::vector<State::Waiter> waiters;
      {
        const std::lock_guard lock(state->mutex);
        state->addresses = std::move(found);
        state->error = std::move(error);
        state->until = async::Clock::now() + kKept;
        state->looking = false;
        waiters.swap(state->waiters);
      }
      for (const auto& waiter : waiters) async::Loop::Wake(waiter.mailbox, waiter.loop, waiter.token);
    }).detach();
  }
  const bool answered = co_await answer;
  if (!answered) throw SocketError(SocketError::Kind::kTimeout, "the name was not resolved in time");
  const std::lock_guard lock(state_->mutex);
  if (!state_->addresses) throw SocketError(SocketError::Kind::kRefused, state_->error);
  co_return state_->addresses;
}

void Resolver::Forget() {
  const std::lock_guard lock(state_->mutex);
  state_->until = {};
}

}  // namespace obs::http1
