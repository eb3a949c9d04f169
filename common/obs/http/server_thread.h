#pragma once

#include <atomic>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "obs/async/loop.h"
#include "obs/http/admission.h"
#include "obs/http/connection.h"
#include "obs/http/exchange.h"
#include "obs/http/request_telemetry.h"
#include "obs/http/router.h"
#include "obs/http/server.h"

namespace obs::http {

/// What all threads of a server share.
struct ServerShared {
  const Router& router;
  RequestTelemetry& telemetry;
  Admission& admission;
  const FramingLimits& limits;
  const ConnectionTimeouts& timeouts;
  const std::chrono::milliseconds request_timeout;
  std::atomic<bool> draining{false};

  /// Connections that have a part of a request, or owe a reply.
  std::atomic<std::size_t> busy{0};
  std::mutex mutex{};
  std::condition_variable quiet{};  ///< busy has become 0 while draining
};

/// The connections and exchanges of one loop. For the loop's thread.
class ServerThread final : public Connection::Owner, public Exchange::Owner {
 public:
  ServerThread(ServerShared& shared, async::Loop& loop) : shared_(shared), loop_(loop) {}

  void Accept(AcceptedSocket socket, std::string address);
  void CloseIdle();
  /// Cancels every request under way, and answers 503.
  void CancelAll();
  /// Ends every connection now.
  void CloseAll();
  std::vector<RequestUnderWay> UnderWay() const;

 private:
  // Connection::Owner
  void OnRequest(Connection& connection, std::unique_ptr<Request> request, bool wants_close) override;
  Response OnRefused(std::string_view reason, const Error& error) override;
  void OnClientLeft(Connection& connection) override;
  void OnDeadline(Connection& connection) override;
  bool MakeRoomToSend(std::size_t bytes) override;
  void OnBusy(bool busy) override;
  void OnClosed(Connection& connection) override;
  // Exchange::Owner
  void OnAnswered(Exchange& answered) override;

  bool MakeRoom(const Admission::Entry& entry);
  void TurnAway(Connection& connection, Admission::Verdict verdict);

  ServerShared& shared_;
  async::Loop& loop_;
  std::list<std::unique_ptr<Connection>> connections_;  ///< who was served longest ago first
};

}  // namespace obs::http
