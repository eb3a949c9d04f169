#include "obs/http/server_thread.h"

#include <algorithm>
#include <utility>

#include "obs/http/problem.h"
#include "obs/http/reply.h"

namespace obs::http {
namespace {

/// What a handler waits for gives up at the deadline of its scope, and the handler can say why; so much later
/// it is cancelled.
constexpr std::chrono::milliseconds kDeadlineGrace{50};
/// Connections beyond the limit that are told so before they are closed; more are closed at once.
constexpr std::size_t kToldTurnedAway = 64;

Error TooManyConnections(Admission::Verdict verdict) {
  const bool share = verdict == Admission::Verdict::kShare;
  return Error(ErrorCode::kOverloaded, "too-many-connections",
               share ? "Your address has all the connections that one may have; try again."
                     : "This server has no connection free; try again.");
}

Error DeadlinePassed() {
  return Error(ErrorCode::kUnavailable, "deadline-exceeded", "The request took too long and was given up.");
}

Error Stopping() {
  return Error(ErrorCode::kUnavailable, "stopping", "The service is stopping; try again elsewhere.");
}

}  // namespace

void ServerThread::Accept(AcceptedSocket socket, std::string address) {
  // What the socket for both families calls an IPv4 client.
  if (constexpr std::string_view kMapped = "::ffff:"; address.starts_with(kMapped)) {
    address.erase(0, kMapped.size());
  }
  const Admission::Entry entry = shared_.admission.Enter(address);
  const bool admitted = entry.verdict == Admission::Verdict::kAdmitted || MakeRoom(entry);
  connections_.push_back(std::make_unique<Connection>(*this, loop_, std::move(socket), std::move(address),
                                                      entry.address, shared_.admission, shared_.limits,
                                                      shared_.timeouts));
  Connection& connection = *connections_.back();
  connection.place = std::prev(connections_.end());
  connection.Begin();
  if (!admitted) TurnAway(connection, entry.verdict);
}

/// Closes the connection that can best be spared: it waits for its client, and the client has the most of
/// them. One who has fewer than the newcomer keeps all.
bool ServerThread::MakeRoom(const Admission::Entry& entry) {
  if (entry.verdict != Admission::Verdict::kFull) return false;
  Connection* spared = nullptr;
  for (const auto& connection : connections_) {
    if (!connection->evictable()) continue;
    if (spared == nullptr || connection->share() > spared->share()) spared = connection.get();
  }
  if (spared == nullptr || spared->share() + 1 < entry.address->connections) return false;
  shared_.telemetry.Refused("evicted");
  spared->Close();
  return true;
}

void ServerThread::TurnAway(Connection& connection, Admission::Verdict verdict) {
  shared_.telemetry.Refused(verdict == Admission::Verdict::kShare ? "address_share" : "connections");
  if (shared_.admission.connections() > shared_.admission.max_connections() + kToldTurnedAway) {
    connection.Close();
    return;
  }
  Response response = Problem(TooManyConnections(verdict), "");
  std::string head;
  AppendHead(head, response, true, "");
  connection.Reply(head, std::move(response.body), true);
}

void ServerThread::CloseIdle() {
  // Closing takes a connection off the list at the end of the batch only.
  for (const auto& connection : connections_) connection->CloseIfIdle();
}

void ServerThread::CancelAll() {
  for (const auto& connection : connections_) {
    if (connection->exchange) {
      connection->exchange->Cancel("drain", Stopping());
    } else {
      connection->CloseIfIdle(true);
    }
  }
}

void ServerThread::CloseAll() {
  for (const auto& connection : connections_) {
    if (connection->exchange) OnClientLeft(*connection);
    connection->Close();
  }
  connections_.clear();
}

std::vector<RequestUnderWay> ServerThread::UnderWay() const {
  std::vector<RequestUnderWay> all;
  const auto now = async::Clock::now();
  for (const auto& connection : connections_) {
    if (!connection->exchange) continue;
    Exchange& exchange = *connection->exchange;
    all.push_back({std::string(Name(exchange.request().method)),
                   exchange.route() != nullptr ? exchange.route()->route : "unmatched",
                   std::string(exchange.scope().trace_id()), std::string(RequestTelemetry::Awaited(exchange)),
                   std::chrono::duration_cast<std::chrono::milliseconds>(now - exchange.start())});
  }
  return all;
}

void ServerThread::OnRequest(Connection& connection, std::unique_ptr<Request> request, bool wants_close) {
  connections_.splice(connections_.end(), connections_, connection.place);
  connection.exchange = std::make_unique<Exchange>(*this, shared_.telemetry, shared_.router, loop_,
                                                   connection, std::move(request), wants_close);
  const async::Deadline deadline = connection.exchange->start() + shared_.request_timeout;
  connection.SetDeadline(deadline + kDeadlineGrace);
  connection.exchange->Start(deadline);
}

void ServerThread::OnAnswered(Exchange& answered) {
  Connection& connection = answered.connection();
  const std::unique_ptr<Exchange> exchange = std::move(connection.exchange);
  const bool close = exchange->wants_close() || shared_.draining.load(std::memory_order_relaxed);
  Response& response = exchange->response();
  thread_local std::string head;
  head.clear();
  AppendHead(head, response, close, trace::TraceResponse(exchange->scope().span().correlation()));
  const bool no_body = exchange->request().method == Method::kHead || !HasContent(response.status);
  connection.Reply(head, no_body ? std::string() : std::move(response.body), close);
}

Response ServerThread::OnRefused(std::string_view reason, const Error& error) {
  Response response = Problem(error, "");
  shared_.telemetry.Refused(reason, response.status, error);
  return response;
}

void ServerThread::OnClientLeft(Connection& connection) {
  if (!connection.exchange) return;
  connection.exchange->Abandon("client_left");
  connection.exchange.reset();
}

void ServerThread::OnDeadline(Connection& connection) {
  if (connection.exchange) connection.exchange->Cancel("deadline", DeadlinePassed());
}

/// Clients that do not read make room for one who may: who was served longest ago goes first.
bool ServerThread::MakeRoomToSend(std::size_t bytes) {
  for (const auto& connection : connections_) {
    if (shared_.admission.Hold(bytes)) return true;
    if (connection->phase() != Connection::Phase::kSending) continue;
    shared_.telemetry.Refused("pending_bytes");
    connection->Close();
  }
  const bool room = shared_.admission.Hold(bytes);
  if (!room) shared_.telemetry.Refused("pending_bytes");
  return room;
}

void ServerThread::OnBusy(bool busy) {
  if (busy) {
    ++shared_.busy;
  } else if (--shared_.busy == 0 && shared_.draining.load(std::memory_order_relaxed)) {
    const std::lock_guard lock(shared_.mutex);
    shared_.quiet.notify_all();
  }
}

void ServerThread::OnClosed(Connection& connection) {
  shared_.admission.Leave(connection.client_address());
  loop_.Defer([this, &connection] { connections_.erase(connection.place); });
}

}  // namespace obs::http
