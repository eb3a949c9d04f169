#include "obs/http/exchange.h"

#include <string>
#include <utility>

#include "obs/http/problem.h"
#include "obs/http/request_telemetry.h"

namespace obs::http {
namespace {

Error Internal(std::string cause) {
  return Error(ErrorCode::kInternal, "internal", "The service made a mistake.", std::move(cause));
}

}  // namespace

Exchange::Exchange(Owner& owner, RequestTelemetry& telemetry, const Router& router, async::Loop& loop,
                   Connection& connection, std::unique_ptr<Request> request, bool wants_close)
    : owner_(owner),
      telemetry_(telemetry),
      router_(router),
      loop_(loop),
      connection_(connection),
      request_(std::move(request)),
      wants_close_(wants_close),
      start_(async::Clock::now()) {}

Exchange::~Exchange() = default;

void Exchange::Start(async::Deadline deadline) {
  activity_.timer = &telemetry_.timer();
  const bool about_server = request_->path == "*";  // OPTIONS * (RFC 9110, section 9.3.7)
  std::optional<Error> refusal;
  if (!about_server) try {
      route_ = &router_.Match(*request_);
    } catch (const Error& error) {
      refusal = error;
    }
  telemetry_.Begin(*this, scope_, loop_, deadline, activity_);
  if (about_server) response_.status = 204;
  if (refusal) Answer(*refusal);
  if (about_server || refusal) {
    OnFinished();
    return;
  }
  root_.Start(Run(), *this);
}

async::Task<void> Exchange::Run() {
  try {
    ReadParameters(*route_, *request_);
    response_ = co_await route_->handler(*request_, *scope_);
    if (response_.status < 200 || response_.status > 599) {
      Answer(Internal("the handler gave status " + std::to_string(response_.status)));
    }
  } catch (const Error& error) {
    Answer(error);
  } catch (const std::exception& exception) {
    Answer(Internal(exception.what()));
  } catch (...) {
    Answer(Internal(""));
  }
}

void Exchange::Answer(const Error& error) {
  response_ = Problem(error, scope_->trace_id());
  if (response_.status == 405) response_.headers.emplace_back("Allow", router_.Allow(request_->path));
  error_ = std::make_unique<const Error>(error);
}

void Exchange::OnFinished() {
  telemetry_.End(*this, error_.get());
  owner_.OnAnswered(*this);
}

void Exchange::Cancel(std::string_view reason, const Error& error) {
  const std::string_view awaited = telemetry_.Awaited(*this);
  root_.Cancel();
  telemetry_.Cancelled(*this, reason, awaited);
  Answer(error);
  OnFinished();
}

void Exchange::Abandon(std::string_view reason) {
  const std::string_view awaited = telemetry_.Awaited(*this);
  root_.Cancel();
  telemetry_.Abandoned(*this, reason, awaited);
}

}  // namespace obs::http
