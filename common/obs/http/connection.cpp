#include "obs/http/connection.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <utility>

#include "obs/http/exchange.h"
#include "obs/http/reply.h"

namespace obs::http {
namespace {

/// How long a closing connection may take to read its last reply and close: enough for a round trip, and
/// short because nothing is lost any more.
constexpr std::chrono::milliseconds kLinger{1000};
/// A client that shuts its side may still want its reply, or be gone: the kernel tells only when something is
/// sent. After this time a client of HTTP/1.1 is sent an interim response, which it must pass over.
constexpr std::chrono::milliseconds kProbeDelay{1000};
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

Error TimedOut() {
  return Error(ErrorCode::kTimeout, "request-timeout", "The request did not arrive whole in time.");
}

/// Bytes sent, 0 when the socket takes none now, -1 when it is broken.
ssize_t SendSome(int fd, std::string_view first, std::string_view second) {
  std::array<iovec, 2> parts{iovec{const_cast<char*>(first.data()), first.size()},
                             iovec{const_cast<char*>(second.data()), second.size()}};
  msghdr message{};
  message.msg_iov = first.empty() ? &parts[1] : parts.data();
  message.msg_iovlen = first.empty() || second.empty() ? 1 : 2;
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 && errno == EAGAIN ? 0 : sent;
}

}  // namespace

Connection::Connection(Owner& owner, async::Loop& loop, AcceptedSocket socket, std::string client_address,
                       std::shared_ptr<Admission::Address> share, Admission& admission,
                       const FramingLimits& limits, const ConnectionTimeouts& timeouts)
    : owner_(owner),
      loop_(loop),
      socket_(std::move(socket)),
      client_address_(std::move(client_address)),
      share_(std::move(share)),
      admission_(admission),
      timeouts_(timeouts),
      reader_(limits) {}

void Connection::Begin() {
  token_ = loop_.Watch(socket_.fd(), *this);
  Enter(Phase::kIdle);
}

Connection::~Connection() = default;

std::chrono::milliseconds Connection::AllowanceOf(Phase phase) const {
  switch (phase) {
    case Phase::kIdle:
      return timeouts_.idle;
    case Phase::kHead:
      return timeouts_.header;
    case Phase::kBody:
    case Phase::kSending:
      return timeouts_.body;
    case Phase::kClosing:
      return kLinger;
    case Phase::kHandling:
    case Phase::kClosed:
      break;
  }
  return std::chrono::hours(24);  // SetDeadline() says when
}

void Connection::Enter(Phase phase) {
  if (phase_ == Phase::kClosed) return;
  const bool was_busy = busy();
  phase_ = phase;
  if (busy() != was_busy) owner_.OnBusy(!was_busy);
  SetDeadline(async::Clock::now() + AllowanceOf(phase));
}

void Connection::SetDeadline(async::Deadline deadline) {
  deadline_ = deadline;
  WakeBy(deadline);
}

/// Most deadlines move on before they pass, so the timer is left as it is when it fires early enough.
void Connection::WakeBy(async::Deadline deadline) {
  if (armed() && wakes_at_ <= deadline) return;
  wakes_at_ = deadline;
  Arm(loop_, deadline);
}

void Connection::OnReady(const async::Readiness& ready) {
  if (ready.broken) {
    // What was sent before is still to be read, but nobody is there for an answer.
    if (phase_ == Phase::kHandling) owner_.OnClientLeft(*this);
    Close();
    return;
  }
  readable_ = readable_ || ready.readable || ready.closed;
  if (ready.closed && !input_ended_) {
    input_ended_ = true;
    if (phase_ == Phase::kHandling) ProbeLater();
  }
  if (ready.writable && phase_ == Phase::kSending) SendMore();
  if (readable_) Advance();
}

void Connection::OnTimer() {
  const auto now = async::Clock::now();
  wakes_at_ = async::Deadline::max();
  if (now >= probe_at_) ProbeClient();
  if (now < deadline_) {
    WakeBy(std::min(deadline_, probe_at_));
    return;
  }
  switch (phase_) {
    case Phase::kHead:
    case Phase::kBody:
      ReplyRefusal("timeout", TimedOut());
      break;
    case Phase::kHandling:
      owner_.OnDeadline(*this);
      break;
    default:
      Close();
  }
}

/// Reads and hands on requests as long as there is input and none is being answered.
void Connection::Advance() {
  if (advancing_) return;
  advancing_ = true;
  while (phase_ <= Phase::kBody || phase_ == Phase::kClosing) {
    if (!input_.empty() && phase_ != Phase::kClosing && reader_.state() != RequestReader::State::kRefused) {
      const std::size_t before = input_.size();
      TakeIn({});
      if (phase_ == Phase::kHandling || input_.size() != before) continue;
    }
    if (!readable_ || !ReadOnce()) break;
  }
  advancing_ = false;
}

/// False when there is nothing more to read now.
bool Connection::ReadOnce() {
  const std::span<char> buffer = loop_.ReadBuffer();
  const ssize_t size = ::recv(socket_.fd(), buffer.data(), buffer.size(), 0);
  if (size > 0) {
    // A short read has emptied the socket, but for the end of the stream.
    if (static_cast<std::size_t>(size) < buffer.size() && !input_ended_) readable_ = false;
    if (phase_ != Phase::kClosing) TakeIn({buffer.data(), static_cast<std::size_t>(size)});
    return true;
  }
  if (size < 0 && errno == EINTR) return true;
  readable_ = false;
  if (size < 0 && errno == EAGAIN) return false;
  Close();  // the end, and nothing is being answered
  return false;
}

/// Gives the reader what is there and `bytes` behind it.
void Connection::TakeIn(std::string_view bytes) {
  std::string_view rest = bytes;
  if (!input_.empty()) {
    input_.append(bytes);
    rest = input_;
  }
  rest.remove_prefix(reader_.Read(rest));
  if (rest.empty()) {
    input_.clear();
  } else if (input_.empty()) {
    input_.assign(rest);
  } else {
    input_.erase(0, input_.size() - rest.size());
  }
  switch (reader_.state()) {
    case RequestReader::State::kHead:
    case RequestReader::State::kBody: {
      if (!reader_.begun()) break;
      if (reader_.TakeExpectation()) SendSome(socket_.fd(), kContinue, {});
      const bool body = reader_.state() == RequestReader::State::kBody;
      const Phase phase = body ? Phase::kBody : Phase::kHead;
      // The time runs from the first byte, not from the latest.
      if (phase_ != phase) Enter(phase);
      break;
    }
    case RequestReader::State::kRefused:
      ReplyRefusal("malformed", reader_.error());
      break;
    case RequestReader::State::kComplete: {
      auto request = reader_.Take();
      minor_version_ = request->minor_version;
      request->client_address = client_address_;
      Enter(Phase::kHandling);
      if (input_ended_) ProbeLater();
      owner_.OnRequest(*this, std::move(request), reader_.wants_close());
      break;
    }
  }
}

void Connection::ReplyRefusal(std::string_view reason, const Error& error) {
  Response response = owner_.OnRefused(reason, error);
  std::string head;
  AppendHead(head, response, true, "");
  Reply(head, std::move(response.body), true);
}

void Connection::ProbeLater() {
  probe_at_ = async::Clock::now() + kProbeDelay;
  WakeBy(probe_at_);
}

/// To a client that is gone the kernel answers with a reset, and that cancels the request.
void Connection::ProbeClient() {
  probe_at_ = async::Deadline::max();
  if (phase_ == Phase::kHandling && minor_version_ > 0) SendSome(socket_.fd(), kContinue, {});
}

void Connection::Reply(std::string_view head, std::string body, bool close) {
  if (phase_ == Phase::kClosed) return;
  close_after_reply_ = close_after_reply_ || close;
  probe_at_ = async::Deadline::max();
  const ssize_t sent = SendSome(socket_.fd(), head, body);
  if (sent < 0) {
    Close();
    return;
  }
  const std::size_t whole = head.size() + body.size();
  const auto taken = static_cast<std::size_t>(sent);
  if (taken == whole) {
    FinishReply();
    return;
  }
  if (!owner_.MakeRoomToSend(whole - taken)) {
    Close();
    return;
  }
  held_ = whole - taken;
  unsent_head_.assign(head);
  unsent_body_ = std::move(body);
  sent_ = taken;
  Enter(Phase::kSending);
}

void Connection::SendMore() {
  const std::size_t whole = unsent_head_.size() + unsent_body_.size();
  while (sent_ < whole) {
    const std::string_view head = std::string_view(unsent_head_).substr(std::min(sent_, unsent_head_.size()));
    const std::string_view body =
        std::string_view(unsent_body_).substr(sent_ > unsent_head_.size() ? sent_ - unsent_head_.size() : 0);
    const ssize_t sent = SendSome(socket_.fd(), head, body);
    if (sent == 0) return;
    if (sent < 0) {
      Close();
      return;
    }
    sent_ += static_cast<std::size_t>(sent);
  }
  admission_.Release(std::exchange(held_, 0));
  std::string().swap(unsent_head_);
  std::string().swap(unsent_body_);
  FinishReply();
}

void Connection::FinishReply() {
  if (!close_after_reply_) {
    Enter(Phase::kIdle);
    if (!input_.empty() || readable_) Advance();
    return;
  }
  // Only our side is shut, so that the client can read to the end; a close with unread input would reset it.
  Enter(Phase::kClosing);
  ::shutdown(socket_.fd(), SHUT_WR);
  if (readable_) Advance();
}

void Connection::CloseIfIdle(bool partial) {
  if (phase_ == Phase::kIdle || (partial && evictable())) Close();
}

void Connection::Close() {
  if (phase_ == Phase::kClosed) return;
  Enter(Phase::kClosed);
  Disarm();
  admission_.Release(std::exchange(held_, 0));
  loop_.Forget(token_);
  socket_.Close();
  owner_.OnClosed(*this);
}

}  // namespace obs::http
