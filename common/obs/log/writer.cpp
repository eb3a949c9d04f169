#include "obs/log/writer.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace obs::log {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kBatch = 5ms;
constexpr std::chrono::milliseconds kLookForStop = 100ms;
constexpr std::size_t kSpareMemory = std::size_t{64} << 10;
constexpr std::size_t kNever = SIZE_MAX;

// A pipe or terminal is opened once more, so that writing never blocks even when someone else fills it or
// stops it with Ctrl-S: O_NONBLOCK on the caller's descriptor would change it for every process that shares
// it. -1 where that is not possible.
int OpenNonBlocking(int fd) {
  struct stat status {};
  if (fstat(fd, &status) != 0 || !(S_ISFIFO(status.st_mode) || isatty(fd) == 1)) return -1;
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  return open(path.c_str(), O_WRONLY | O_NONBLOCK | O_APPEND | O_NOCTTY | O_CLOEXEC);
}

// A write of at most PIPE_BUF bytes to a descriptor that poll() found writable does not block, and goes into
// a pipe in one piece: with whole lines, two processes on one pipe do not tear each other's.
std::string_view NextChunk(std::string_view rest) {
  if (rest.size() <= PIPE_BUF) return rest;
  const std::size_t newline = rest.substr(0, PIPE_BUF).rfind('\n');
  return rest.substr(0, newline == std::string_view::npos ? PIPE_BUF : newline + 1);
}

std::uint64_t CountLines(std::string_view bytes) {
  std::uint64_t lines = 0;
  for (std::size_t at = 0; (at = bytes.find('\n', at)) != std::string_view::npos; ++at) ++lines;
  return lines;
}

// The thread takes none of the program's signals, and a closed reader is an error code for it, not SIGPIPE.
void BlockSignals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

}  // namespace

struct Writer::Impl {
  Impl(int fd, std::size_t bound)
      : own_fd(OpenNonBlocking(fd)), out(own_fd >= 0 ? own_fd : fd), capacity(bound) {}

  ~Impl() {
    if (own_fd >= 0) close(own_fd);
  }

  void Run();
  void Drain(std::string_view rest);
  ssize_t WriteSome(std::string_view rest);
  void Settle(std::string_view bytes, std::atomic<std::uint64_t>& lines);
  void Wake();

  const int own_fd;
  const int out;
  const std::size_t capacity;

  std::mutex mutex;
  std::condition_variable woken;
  std::condition_variable settled;
  std::string front;             // guarded by mutex; producers append
  std::uint64_t queued = 0;      // guarded; bytes ever accepted
  std::uint64_t finished = 0;    // guarded; of those, bytes written or given up
  std::size_t wake_at = kNever;  // guarded; bytes in front at which the sleeping thread wants to be woken
  std::vector<std::shared_ptr<const void>> kept;  // guarded
  std::string back;                               // the thread's alone
  std::atomic<bool> stopping{false};
  std::atomic<std::uint64_t> written{0};
  std::atomic<std::uint64_t> dropped{0};
  std::thread thread;
};

void Writer::Impl::Wake() {
  wake_at = kNever;
  woken.notify_one();
}

// Sleeps until the first line, which costs its producer one system call; then works in batches, in which
// producers make none, until a batch stays empty.
void Writer::Impl::Run() {
  BlockSignals();
  const auto asked = [this] { return stopping || wake_at == kNever; };
  std::unique_lock lock(mutex);
  while (!stopping) {
    if (front.empty()) {
      wake_at = 1;
      woken.wait(lock, asked);
    }
    while (!front.empty()) {
      wake_at = kNever;
      std::swap(front, back);
      lock.unlock();
      Drain(back);
      back.clear();
      lock.lock();
      wake_at = capacity / 2;
      woken.wait_for(lock, kBatch, asked);
    }
    if (front.capacity() > kSpareMemory) front.shrink_to_fit();
    if (back.capacity() > kSpareMemory) back.shrink_to_fit();
  }
}

void Writer::Impl::Drain(std::string_view rest) {
  while (!rest.empty()) {
    const ssize_t count = WriteSome(rest);
    if (count > 0) {
      Settle(rest.substr(0, static_cast<std::size_t>(count)), written);
      rest.remove_prefix(static_cast<std::size_t>(count));
    } else if (count < 0 || stopping) {
      Settle(rest, dropped);
      return;
    }
  }
}

// Bytes written; 0 when it must be tried again; -1 when nobody will ever read them.
ssize_t Writer::Impl::WriteSome(std::string_view rest) {
  pollfd ready{out, POLLOUT, 0};
  if (poll(&ready, 1, static_cast<int>(kLookForStop.count())) <= 0) return 0;
  const std::string_view chunk = NextChunk(rest);
  const ssize_t count = write(out, chunk.data(), chunk.size());
  if (count >= 0) return count;
  return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

void Writer::Impl::Settle(std::string_view bytes, std::atomic<std::uint64_t>& lines) {
  lines += CountLines(bytes);
  {
    std::lock_guard lock(mutex);
    finished += bytes.size();
  }
  settled.notify_all();
}

Writer::Writer(int fd, std::size_t capacity) : impl_(std::make_unique<Impl>(fd, capacity)) {
  impl_->thread = std::thread([this] { impl_->Run(); });
}

Writer::~Writer() {
  Flush(1s);
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    impl_->Wake();
  }
  impl_->thread.join();
}

void Writer::Keep(std::shared_ptr<const void> shared) {
  std::lock_guard lock(impl_->mutex);
  impl_->kept.push_back(std::move(shared));
}

void Writer::Write(std::string_view line) {
  std::lock_guard lock(impl_->mutex);
  if (impl_->queued - impl_->finished + line.size() > impl_->capacity) {
    ++impl_->dropped;
    return;
  }
  impl_->front += line;
  impl_->queued += line.size();
  if (impl_->front.size() >= impl_->wake_at) impl_->Wake();
}

bool Writer::Flush(std::chrono::milliseconds deadline) {
  std::unique_lock lock(impl_->mutex);
  const std::uint64_t target = impl_->queued;
  if (impl_->finished < target) impl_->Wake();
  return impl_->settled.wait_for(lock, deadline, [&] { return impl_->finished >= target; });
}

std::uint64_t Writer::lines_written() const { return impl_->written; }
std::uint64_t Writer::lines_dropped() const { return impl_->dropped; }

}  // namespace obs::log
