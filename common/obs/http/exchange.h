#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "obs/async/loop.h"
#include "obs/async/task.h"
#include "obs/error/error.h"
#include "obs/http/message.h"
#include "obs/http/router.h"
#include "obs/scope/scope.h"

namespace obs::http {

class Connection;
class RequestTelemetry;

/// One request from its last byte to its reply: finds the route, runs the handler in a scope, and makes
/// problems of errors. Destroying it before its end cancels the handler.
class Exchange final : public async::InFrameMemory, private async::Root::Listener {
 public:
  /// Called once, when `response()` is there. May destroy the exchange.
  class Owner {
   public:
    virtual void OnAnswered(Exchange& exchange) = 0;

   protected:
    ~Owner() = default;
  };

  Exchange(Owner& owner, RequestTelemetry& telemetry, const Router& router, async::Loop& loop,
           Connection& connection, std::unique_ptr<Request> request, bool wants_close);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// Runs the handler until it first waits; it may have ended when this returns.
  void Start(async::Deadline deadline);
  /// Cancels the handler and answers with `error` instead; see response().
  void Cancel(std::string_view reason, const Error& error);
  /// Cancels the handler, and there will be no reply.
  void Abandon(std::string_view reason);

  Connection& connection() { return connection_; }
  const Request& request() const { return *request_; }
  const Route* route() const { return route_; }  ///< null when none matched
  Scope& scope() { return *scope_; }
  const Activity& activity() const { return activity_; }
  async::Clock::time_point start() const { return start_; }
  bool wants_close() const { return wants_close_; }
  Response& response() { return response_; }

 private:
  void OnFinished() override;
  async::Task<void> Run();
  void Answer(const Error& error);

  Owner& owner_;
  RequestTelemetry& telemetry_;
  const Router& router_;
  async::Loop& loop_;
  Connection& connection_;
  const std::unique_ptr<Request> request_;
  const bool wants_close_;
  const async::Clock::time_point start_;
  const Route* route_ = nullptr;
  Activity activity_;
  std::optional<Scope> scope_;
  Response response_;
  std::unique_ptr<const Error> error_;  ///< null when it was answered well
  async::Root root_;                    ///< first to go: what it runs refers to the rest
};

}  // namespace obs::http
