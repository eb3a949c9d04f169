#include "obs/http/connection.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <utility>

namespace obs::http {
namespace {

/// How long a closing connection may take to read its last reply and close: enough for a round trip, and
/// short because nothing is lost any more.
constexpr std::chrono::milliseconds kLinger{1000};
/// How late a timeout may be noticed.
constexpr std::chrono::milliseconds kTick{100};
/// How often a stopping server looks whether slow readers have taken their replies.
constexpr std::chrono::milliseconds kDeliveryCheck{10};

}  // namespace

Connection::Connection(int fd, std::string client_address, const ConnectionTimeouts& timeouts)
    : fd_(fd), client_address_(std::move(client_address)), timeouts_(timeouts) {
  EnterLocked(Phase::kIdle);
}

std::chrono::milliseconds Connection::AllowanceOf(Phase phase) const {
  switch (phase) {
    case Phase::kIdle:
      return timeouts_.idle;
    case Phase::kHeader:
      return timeouts_.header;
    case Phase::kBody:
      return timeouts_.body;
    case Phase::kClosing:
      return kLinger;
    case Phase::kHandling:
      break;
  }
  return std::chrono::hours(24);  // the handler has limits of its own
}

void Connection::EnterLocked(Phase phase) {
  phase_ = phase;
  deadline_ = std::chrono::steady_clock::now() + AllowanceOf(phase);
}

bool Connection::AcceptsInput() {
  const std::lock_guard lock(mutex_);
  if (phase_ == Phase::kHandling || !output_.empty()) close_after_reply_ = true;
  return !gone_ && output_.empty() && phase_ != Phase::kHandling && phase_ != Phase::kClosing;
}

void Connection::Enter(Phase phase) {
  const std::lock_guard lock(mutex_);
  if (phase_ != phase) EnterLocked(phase);
}

void Connection::Interim(std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  WriteLocked(bytes);
}

bool Connection::Reply(std::string_view bytes, bool close) {
  const std::lock_guard lock(mutex_);
  close_after_reply_ = close_after_reply_ || close;
  WriteLocked(bytes);
  if (!output_.empty()) {
    deadline_ = std::chrono::steady_clock::now() + timeouts_.body;  // for the client to read it
    return true;
  }
  if (phase_ != Phase::kClosing) FinishReplyLocked();
  return false;
}

void Connection::WriteLocked(std::string_view bytes) {
  if (gone_) return;
  const ssize_t written = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (written < 0 && errno != EAGAIN && errno != EINTR) {
    BreakLocked();
    return;
  }
  output_.assign(bytes.substr(static_cast<std::size_t>(std::max<ssize_t>(written, 0))));
}

void Connection::FinishReplyLocked() {
  if (!close_after_reply_) {
    EnterLocked(Phase::kIdle);
    return;
  }
  // Only our side is shut, so that the client can read to the end; a close with unread input would reset it.
  EnterLocked(Phase::kClosing);
  if (!gone_) ::shutdown(fd_, SHUT_WR);
}

void Connection::BreakLocked() {
  // Pistache sees the end of the stream and closes the descriptor.
  if (!gone_) ::shutdown(fd_, SHUT_RDWR);
  output_.clear();
  close_after_reply_ = true;
  EnterLocked(Phase::kClosing);
}

void Connection::MarkGone() {
  const std::lock_guard lock(mutex_);
  gone_ = true;
  output_.clear();
}

int Connection::WaitsToWrite() const {
  const std::lock_guard lock(mutex_);
  return gone_ || output_.empty() ? -1 : fd_;
}

void Connection::WriteMore() {
  const std::lock_guard lock(mutex_);
  if (gone_ || output_.empty()) return;
  WriteLocked(std::string(std::move(output_)));
  if (output_.empty() && phase_ != Phase::kClosing) FinishReplyLocked();
}

void Connection::CheckDeadline(SteadyTime now, const std::function<std::string()>& late) {
  const std::lock_guard lock(mutex_);
  if (gone_ || now < deadline_) return;
  if (phase_ == Phase::kHeader || phase_ == Phase::kBody) {
    WriteLocked(late());
    close_after_reply_ = true;
    FinishReplyLocked();
  } else {
    BreakLocked();
  }
}

void Connection::CloseIfIdle() {
  const std::lock_guard lock(mutex_);
  if (!gone_ && phase_ == Phase::kIdle) BreakLocked();
}

bool Connection::OwesReply() const {
  const std::lock_guard lock(mutex_);
  return !gone_ && (phase_ == Phase::kHandling || !output_.empty());
}

bool Connection::IsBusy() const {
  const std::lock_guard lock(mutex_);
  return !gone_ && ((phase_ != Phase::kIdle && phase_ != Phase::kClosing) || !output_.empty());
}

ConnectionTable::ConnectionTable(std::size_t limit, std::function<std::string()> late)
    : limit_(limit), late_(std::move(late)), wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (wake_fd_ < 0) throw std::runtime_error("eventfd failed");
  thread_ = std::thread([this] { Watch(); });
}

ConnectionTable::~ConnectionTable() {
  stopping_ = true;
  Wake();
  thread_.join();
  ::close(wake_fd_);
}

bool ConnectionTable::Add(const std::shared_ptr<Connection>& connection) {
  std::size_t open = 0;
  {
    const std::lock_guard lock(mutex_);
    connections_.insert(connection);
    open = connections_.size();
  }
  if (open == 1) Wake();  // the thread sleeps without a timeout while there is nothing to watch
  return open <= limit_;
}

void ConnectionTable::Remove(const std::shared_ptr<Connection>& connection) {
  const std::lock_guard lock(mutex_);
  connections_.erase(connection);
  if (connections_.empty()) emptied_.notify_all();
}

void ConnectionTable::Wake() {
  const std::uint64_t one = 1;
  // It can only fail when the counter is full, and then the thread is about to wake anyway.
  [[maybe_unused]] const ssize_t written = ::write(wake_fd_, &one, sizeof(one));
}

std::size_t ConnectionTable::size() const {
  const std::lock_guard lock(mutex_);
  return connections_.size();
}

std::vector<std::shared_ptr<Connection>> ConnectionTable::Snapshot() const {
  const std::lock_guard lock(mutex_);
  return {connections_.begin(), connections_.end()};
}

void ConnectionTable::CloseIdle() {
  for (const auto& connection : Snapshot()) connection->CloseIfIdle();
}

void ConnectionTable::WaitUntilEmpty(std::chrono::milliseconds deadline) {
  std::unique_lock lock(mutex_);
  emptied_.wait_for(lock, deadline, [this] { return connections_.empty(); });
}

bool ConnectionTable::WaitUntilDelivered(SteadyTime end) {
  const auto any = [this](bool (Connection::*is)() const) {
    const auto connections = Snapshot();
    return std::any_of(connections.begin(), connections.end(), [is](const auto& c) { return (*c.*is)(); });
  };
  while (any(&Connection::IsBusy)) {
    if (std::chrono::steady_clock::now() >= end) return !any(&Connection::OwesReply);
    WaitUntilEmpty(kDeliveryCheck);
  }
  return true;
}

void ConnectionTable::Abandon() {
  for (const auto& connection : Snapshot()) connection->MarkGone();
}

void ConnectionTable::Watch() {
  while (!stopping_) {
    const auto connections = Snapshot();
    std::vector<pollfd> polled{{wake_fd_, POLLIN, 0}};
    const SteadyTime now = std::chrono::steady_clock::now();
    for (const auto& connection : connections) {
      connection->WriteMore();
      connection->CheckDeadline(now, late_);
      const int fd = connection->WaitsToWrite();
      if (fd >= 0) polled.push_back({fd, POLLOUT, 0});
    }
    // A descriptor may be closed and given to another client meanwhile. That only wakes this thread early:
    // before anything is written, Connection looks again.
    ::poll(polled.data(), polled.size(), connections.empty() ? -1 : static_cast<int>(kTick.count()));
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t drained = ::read(wake_fd_, &count, sizeof(count));
  }
}

}  // namespace obs::http
