#include "obs/http1/origin.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "obs/text/authority.h"

namespace obs::http1 {
namespace {

/// Below the server's idle timeout, so that a connection is not reused in the moment it is being closed.
constexpr std::chrono::seconds kMaxIdle{60};

}  // namespace

std::optional<Url> ParseUrl(std::string_view text) {
  Url url;
  url.tls = text.starts_with("https://");
  if (!url.tls && !text.starts_with("http://")) return std::nullopt;
  text.remove_prefix(text.find("//") + 2);
  const std::size_t end = std::min(text.find('/'), text.size());
  const auto authority = text::ParseAuthority(text.substr(0, end));
  const auto is_visible = [](char c) { return c > ' ' && c <= '~'; };
  if (!authority || !std::all_of(text.begin(), text.end(), is_visible)) return std::nullopt;
  url.host = authority->host;
  url.port = authority->port.value_or(url.tls ? 443 : 80);
  url.authority = text.substr(0, end);
  url.path = text.substr(end);
  return url;
}

/// The connections to this server that are idle on one loop.
class Origin::IdleConnections final : public async::Loop::Local {
 public:
  IdleConnections(async::Loop& loop, std::size_t limit) : loop_(loop), limit_(limit) {}

  /// The latest used, which is the least likely to be stale; null when there is none.
  std::unique_ptr<Socket> Take() {
    const auto now = async::Clock::now();
    while (!idle_.empty()) {
      Entry latest = std::move(idle_.back());
      idle_.pop_back();
      if (latest.socket->Stale() || now - latest.since > kMaxIdle) continue;
      latest.socket->SetIdleListener({});
      return std::move(latest.socket);
    }
    return nullptr;
  }

  void Keep(std::unique_ptr<Socket> socket) {
    if (idle_.size() >= limit_ || socket->Stale()) return;
    // A descriptor is not held longer than the other side holds its own.
    socket->SetIdleListener([this] { PruneSoon(); });
    socket->SetDeadline(async::Deadline::max());
    idle_.push_back({std::move(socket), async::Clock::now()});
  }

 private:
  struct Entry {
    std::unique_ptr<Socket> socket;
    async::Clock::time_point since;
  };

  void PruneSoon() {
    if (std::exchange(pruning_, true)) return;
    loop_.Defer([this] {
      pruning_ = false;
      std::erase_if(idle_, [](const Entry& entry) { return entry.socket->Stale(); });
    });
  }

  async::Loop& loop_;
  const std::size_t limit_;
  std::vector<Entry> idle_;
  bool pruning_ = false;
};

Origin::Origin(OriginConfig config)
    : config_(std::move(config)), resolver_(config_.url.host, config_.url.port) {
  if (!config_.url.tls) return;
  tls_ = std::make_unique<TlsContext>();
  if (!config_.ca_file.empty()) tls_->Trust(config_.ca_file);
  if (!config_.certificate_file.empty()) tls_->Present(config_.certificate_file, config_.key_file);
}

Origin::IdleConnections& Origin::IdleOn(async::Loop& loop) {
  return static_cast<IdleConnections&>(loop.LocalOf(idle_key_, [this](async::Loop& own) {
    return std::make_unique<IdleConnections>(own, config_.max_idle_connections);
  }));
}

async::Task<std::unique_ptr<Socket>> Origin::Connect(async::Loop& loop, async::Deadline deadline) {
  const auto addresses = co_await resolver_.Resolve(loop, deadline);
  std::optional<SocketError> last;
  for (const SocketAddress& address : *addresses) {
    try {
      auto socket = std::make_unique<Socket>(loop, address.get(), address.size);
      if (config_.send_buffer > 0) socket->SetSendBuffer(config_.send_buffer);
      socket->SetDeadline(std::min(deadline, async::Clock::now() + config_.connect_timeout));
      co_await socket->Connect();
      if (tls_) co_await socket->StartTls(*tls_, config_.url.host);
      co_return socket;
    } catch (const SocketError& error) {
      last = error;
    }
    if (async::Clock::now() >= deadline) break;
  }
  resolver_.Forget();
  throw *last;
}

/// False when a kept-alive connection was closed before a byte of the answer came.
async::Task<bool> Origin::Attempt(async::Loop& loop, std::unique_ptr<Socket>& socket, std::string_view head,
                                  std::string_view body, ResponseReader& answer) {
  const std::span<char> buffer = loop.ReadBuffer();
  std::string rest;  // received, and not yet taken by the reader
  bool received = false;
  try {
    co_await socket->Send(head);
    if (!body.empty()) co_await socket->Send(body);
    while (answer.state() == ResponseReader::State::kHead || answer.state() == ResponseReader::State::kBody) {
      const std::size_t size = co_await socket->Receive(buffer.data(), buffer.size());
      if (size == 0) {
        if (!received) co_return false;
        answer.End();
        if (answer.status() == 0) throw SocketError(SocketError::Kind::kBroken, answer.error());
        break;
      }
      received = true;
      std::string_view input(buffer.data(), size);
      if (!rest.empty()) {
        rest.append(input);
        input = rest;
      }
      input.remove_prefix(answer.Read(input));
      std::string(input).swap(rest);
    }
  } catch (const SocketError& error) {
    if (error.kind != SocketError::Kind::kBroken || received) throw;
    co_return false;
  }
  // What comes behind the answer belongs to nobody, and what comes next could not be told from it.
  if (answer.state() != ResponseReader::State::kComplete || !answer.keep_alive() || !rest.empty())
    socket.reset();
  co_return true;
}

async::Task<void> Origin::Send(async::Loop& loop, std::string_view head, std::string_view body, bool again,
                               ResponseReader& answer, async::Deadline deadline) {
  IdleConnections& idle = IdleOn(loop);
  for (;;) {
    std::unique_ptr<Socket> socket = idle.Take();
    const bool reused = socket != nullptr;
    if (!reused) socket = co_await Connect(loop, deadline);
    socket->SetDeadline(deadline);
    const bool answered = co_await Attempt(loop, socket, head, body, answer);
    if (answered) {
      if (socket) idle.Keep(std::move(socket));
      co_return;
    }
    if (!reused || !again) {
      throw SocketError(SocketError::Kind::kBroken, "the connection ended before the answer began");
    }
  }
}

}  // namespace obs::http1
