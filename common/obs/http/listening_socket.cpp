#include "obs/http/listening_socket.h"

#include <dirent.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <thread>

namespace obs::http {
namespace {

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

bool CloseListeningSocket(std::uint16_t port, std::chrono::milliseconds deadline) {
  const int fd = FindListeningSocket(port);
  if (fd < 0) return false;

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
  if (placeholder < 0) return false;
  ::dup2(placeholder, fd);
  ::close(placeholder);
  return true;
}

}  // namespace obs::http
