#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "obs/async/loop.h"
#include "obs/http/admission.h"
#include "obs/http/message.h"
#include "obs/http/pistache.h"
#include "obs/http/request_reader.h"

namespace obs::http {

struct ConnectionTimeouts {
  std::chrono::milliseconds header;
  std::chrono::milliseconds body;
  std::chrono::milliseconds idle;
};

class Exchange;

/// One accepted connection on its loop: bytes in, requests out one after the other, replies in their order.
/// While a request is being answered, nothing more is read, so that a client that sends on is held back by
/// the kernel.
class Connection final : private async::Source, private async::Timer {
 public:
  /// Who answers the requests. Called on the loop's thread.
  class Owner {
   public:
    /// Answer by Reply(), now or later.
    virtual void OnRequest(Connection& connection, std::unique_ptr<Request> request, bool wants_close) = 0;
    /// The reply to what no route shall see.
    virtual Response OnRefused(std::string_view reason, const Error& error) = 0;
    /// The client has left before its reply: cancel the request under way.
    virtual void OnClientLeft(Connection& connection) = 0;
    /// The deadline of the request under way has passed: cancel it, and Reply().
    virtual void OnDeadline(Connection& connection) = 0;
    /// Holds so many bytes at the admission, by closing other connections if need be. False when it cannot.
    virtual bool MakeRoomToSend(std::size_t bytes) = 0;
    /// The phase has changed from busy() to not, or back.
    virtual void OnBusy(bool busy) = 0;
    /// It is closed. Destroy it at the end of the batch, not now.
    virtual void OnClosed(Connection& connection) = 0;

   protected:
    ~Owner() = default;
  };

  enum class Phase {
    kIdle,      ///< between requests
    kHead,      ///< the first byte of a request is here, its last header is not
    kBody,      ///< the head is here, the body is not complete
    kHandling,  ///< a request is being answered
    kSending,   ///< the client is slow to take the reply
    kClosing,   ///< the last reply is with the kernel; input is discarded until the client closes
    kClosed,
  };

  Connection(Owner& owner, async::Loop& loop, AcceptedSocket socket, std::string client_address,
             std::shared_ptr<Admission::Address> share, Admission& admission, const FramingLimits& limits,
             const ConnectionTimeouts& timeouts);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Reads what has come already. Once, after construction.
  void Begin();
  /// Sends the reply to the request under way, or to none. `head` is copied, `body` is taken.
  void Reply(std::string_view head, std::string body, bool close);
  /// When the request under way must have been answered.
  void SetDeadline(async::Deadline deadline);
  /// Ends an idle connection; one that has a part of a request too, with `partial`.
  void CloseIfIdle(bool partial = false);
  /// Ends it now, whatever it is at.
  void Close();

  Phase phase() const { return phase_; }
  /// A part of a request is here, or a reply is not with the kernel.
  bool busy() const { return phase_ != Phase::kIdle && phase_ < Phase::kClosing; }
  /// It may be closed to make room: it waits for its client.
  bool evictable() const { return phase_ <= Phase::kBody; }
  const std::string& client_address() const { return client_address_; }
  std::size_t share() const { return share_->connections; }

  // The owner's:
  std::list<std::unique_ptr<Connection>>::iterator place;
  std::unique_ptr<Exchange> exchange;  ///< the request under way

 private:
  void OnReady(const async::Readiness& ready) override;
  void OnTimer() override;

  void Advance();
  bool ReadOnce();
  void TakeIn(std::string_view bytes);
  void Enter(Phase phase);
  std::chrono::milliseconds AllowanceOf(Phase phase) const;
  void WakeBy(async::Deadline deadline);
  void SendMore();
  void FinishReply();
  void ReplyRefusal(std::string_view reason, const Error& error);
  void ProbeLater();
  void ProbeClient();

  Owner& owner_;
  async::Loop& loop_;
  AcceptedSocket socket_;
  const std::string client_address_;
  const std::shared_ptr<Admission::Address> share_;
  Admission& admission_;
  const ConnectionTimeouts& timeouts_;
  async::Loop::Token token_ = 0;
  Phase phase_ = Phase::kIdle;
  async::Deadline deadline_;
  async::Deadline wakes_at_ = async::Deadline::max();

  RequestReader reader_;
  std::string input_;  ///< received and not yet taken by the reader
  bool readable_ = true;
  bool input_ended_ = false;  ///< the client has shut its side
  bool advancing_ = false;
  int minor_version_ = 1;  ///< of the request under way
  async::Deadline probe_at_ = async::Deadline::max();

  bool close_after_reply_ = false;
  std::string unsent_head_;
  std::string unsent_body_;
  std::size_t sent_ = 0;  ///< of both together
  std::size_t held_ = 0;  ///< bytes that the admission counts for this connection
};

}  // namespace obs::http
