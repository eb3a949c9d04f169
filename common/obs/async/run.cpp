#include "obs/async/run.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace obs::async {
namespace {

int MakeEpoll() {
  const int fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  return fd;
}

}  // namespace

StandaloneLoop::StandaloneLoop() : epoll_fd_(MakeEpoll()) { loop_.Start(*this); }

StandaloneLoop::~StandaloneLoop() {
  loop_.Stop();
  ::close(epoll_fd_);
}

void StandaloneLoop::RunUntil(const std::function<bool()>& done) {
  std::array<epoll_event, 64> events{};
  loop_.EndBatch();
  while (!done()) {
    const int count = ::epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const auto& event = events[static_cast<std::size_t>(i)];
      loop_.Dispatch(event.data.u64,
                     {(event.events & EPOLLIN) != 0, (event.events & EPOLLOUT) != 0,
                      (event.events & EPOLLRDHUP) != 0, (event.events & (EPOLLHUP | EPOLLERR)) != 0});
    }
    loop_.EndBatch();
  }
}

void StandaloneLoop::Watch(int fd, std::uint64_t tag) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u64 = tag;
  if (::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
}

}  // namespace obs::async
