#include "obs/http/pistache.h"

#include <dirent.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pistache/listener.h>
#include <pistache/peer.h>
#include <pistache/tcp.h>
#include <pistache/transport.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <future>
#include <thread>

namespace obs::http {
namespace {

using Pistache::Polling::Mode;
using Pistache::Polling::NotifyOn;
using Pistache::Polling::Tag;
using Interest = Pistache::Flags<NotifyOn>;

/// What the kernel lets wait before it is accepted; the kernel lowers it to net.core.somaxconn.
constexpr int kBacklog = 65535;

using Peer = std::shared_ptr<Pistache::Tcp::Peer>;

/// Keeps the peers that Pistache hands over until their descriptors are registered.
class NewPeers final : public Pistache::Tcp::Handler {
 public:
  PROTOTYPE_OF(Pistache::Tcp::Handler, NewPeers)

  std::vector<Peer> Take() { return std::exchange(peers_, {}); }

 private:
  void onInput(const char* /*buffer*/, std::size_t /*size*/, const Peer& /*peer*/) override {}
  void onConnection(const Peer& peer) override { peers_.push_back(peer); }

  std::vector<Peer> peers_;
};

/// The part of one thread. Pistache makes a copy by clone() for each of its threads; the events of all
/// descriptors that we watch carry a Loop's tag, and only the others go to Pistache's own code, which
/// terminates on what it does not know.
class LoopTransport final : public Pistache::Tcp::Transport,
                            private async::Poller,
                            private AcceptedSocket::Closer {
 public:
  using All = std::vector<std::shared_ptr<LoopTransport>>;

  LoopTransport(std::shared_ptr<NewPeers> handler, Acceptor& acceptor, std::shared_ptr<All> all)
      : Transport(handler), handler_(std::move(handler)), acceptor_(acceptor), all_(std::move(all)) {}

  std::shared_ptr<Pistache::Aio::Handler> clone() const override {
    auto copy = std::make_shared<LoopTransport>(std::make_shared<NewPeers>(), acceptor_, all_);
    all_->push_back(copy);
    return copy;
  }

  void registerPoller(Pistache::Polling::Epoll& poller) override {
    Transport::registerPoller(poller);
    poller_ = &poller;
    loop_.Start(*this);
  }

  void onReady(const Pistache::Aio::FdSet& fds) override {
    foreign_.clear();
    for (const auto& entry : fds) {
      const std::uint64_t tag = entry.getTag().value();
      // Entry hides the flag that says that the other side has shut its end, and its base is private.
      const auto& event = (const Pistache::Polling::Event&)entry;  // NOLINT
      if ((tag & async::Loop::kTagBit) == 0) {
        foreign_.push_back(event);
        continue;
      }
      loop_.Dispatch(tag, {entry.isReadable(), entry.isWritable(), event.flags.hasFlag(NotifyOn::Shutdown),
                           entry.isHangup()});
    }
    if (!foreign_.empty()) {
      Transport::onReady(Pistache::Aio::FdSet(std::move(foreign_)));
      for (const Peer& peer : handler_->Take()) {
        AcceptedSocket socket(*this, peer->fd());
        // A connection can come between the loop's end and the thread's.
        if (!loop_.stopped()) acceptor_.OnAccept(loop_, std::move(socket), peer->address().host());
      }
    }
    loop_.EndBatch();
  }

  async::Loop& loop() { return loop_; }

 private:
  void Watch(int fd, std::uint64_t tag) override {
    const Interest interest = Interest(NotifyOn::Read) | NotifyOn::Write | NotifyOn::Shutdown;
    // A peer's descriptor is registered already, with a tag of Pistache's.
    if (peers.count(fd) > 0) {
      poller_->rearmFd(fd, interest, Tag(tag), Mode::Edge);
    } else {
      poller_->addFd(fd, interest, Tag(tag), Mode::Edge);
    }
  }

  void Close(int fd) override {
    const auto found = peers.find(fd);
    if (found == peers.end()) return;
    const Peer peer = found->second;
    removePeer(peer);
  }

  const std::shared_ptr<NewPeers> handler_;
  Acceptor& acceptor_;
  const std::shared_ptr<All> all_;
  Pistache::Polling::Epoll* poller_ = nullptr;
  std::vector<Pistache::Polling::Event> foreign_;
  async::Loop loop_;
};

std::uint16_t LocalPort(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  return 0;
}

bool IsListening(int fd) {
  int listening = 0;
  socklen_t size = sizeof(listening);
  return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening == 1;
}

/// Pistache keeps the number to itself.
int FindListeningSocket(std::uint16_t port) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc/self/fd"), ::closedir);
  if (!directory) return -1;
  while (const dirent* entry = ::readdir(directory.get())) {
    const int fd = std::atoi(entry->d_name);
    if (fd > 2 && IsListening(fd) && LocalPort(fd) == port) return fd;
  }
  return -1;
}

/// Connections that the kernel has completed and nobody has accepted.
bool HasUnaccepted(int fd) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  return ::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_unacked > 0;
}

}  // namespace

struct PistacheListener::Impl {
  std::shared_ptr<LoopTransport::All> transports = std::make_shared<LoopTransport::All>();
  std::vector<async::Loop*> loops;
  std::unique_ptr<Pistache::Tcp::Listener> listener;
  std::uint16_t port = 0;
  bool running = false;
};

PistacheListener::PistacheListener(const std::string& address, std::uint16_t port, std::size_t threads,
                                   Acceptor& acceptor)
    : impl_(std::make_unique<Impl>()) {
  using Pistache::Tcp::Options;
  Impl& impl = *impl_;
  impl.listener = std::make_unique<Pistache::Tcp::Listener>(Pistache::Address(address, Pistache::Port(port)));
  impl.listener->init(threads,
                      Pistache::Flags<Options>(Options::ReuseAddr) | Options::NoDelay | Options::CloseOnExec);
  impl.listener->setTransportFactory([&acceptor, all = impl.transports] {
    return std::make_shared<LoopTransport>(std::make_shared<NewPeers>(), acceptor, all);
  });
  impl.listener->bind();
  impl.port = impl.listener->getPort();
  for (const auto& transport : *impl.transports) impl.loops.push_back(&transport->loop());
  // Pistache listens with a backlog of its own choice; a second call changes it.
  if (const int fd = FindListeningSocket(impl.port); fd >= 0) ::listen(fd, kBacklog);
}

void PistacheListener::Start() {
  impl_->running = true;
  impl_->listener->runThreaded();
}

PistacheListener::~PistacheListener() {
  for (async::Loop* loop : impl_->loops) {
    const auto stopped = std::make_shared<std::promise<void>>();
    const bool posted = loop->mailbox()->Post([loop, stopped] {
      loop->Stop();
      stopped->set_value();
    });
    if (posted && impl_->running) stopped->get_future().wait();
  }
  impl_->listener->shutdown();
  // Each knows the list that it stands in, so that they would keep each other.
  impl_->transports->clear();
  impl_->listener.reset();
}

std::uint16_t PistacheListener::port() const { return impl_->port; }

const std::vector<async::Loop*>& PistacheListener::loops() const { return impl_->loops; }

void PistacheListener::CloseListeningSocket(std::chrono::milliseconds deadline) {
  const int fd = FindListeningSocket(impl_->port);
  if (fd < 0) return;

  // A filter that drops every packet lets no new connection begin while the begun ones are accepted: closing
  // at once would reset those.
  sock_filter drop_all[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
  const sock_fprog program{1, drop_all};
  ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (HasUnaccepted(fd) && std::chrono::steady_clock::now() < end) std::this_thread::yield();

  // Another socket takes the number: the listening one closes, and what Pistache does to that number later,
  // on whatever thread, is harmless.
  const int placeholder = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (placeholder < 0) return;
  ::dup2(placeholder, fd);
  ::close(placeholder);
}

}  // namespace obs::http
