#include "observer.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <optional>
#include <utility>

#include "obs/async/all.h"
#include "obs/http/message.h"
#include "trace_view.h"

namespace frontend {

using obs::Scope;
using obs::async::Task;

namespace {

using std::chrono::milliseconds;

// The page asks again by itself, so that nobody has to be waited for.
constexpr milliseconds kConnectTimeout{300};
constexpr milliseconds kServiceTimeout{1000};
constexpr milliseconds kStoreTimeout{3000};
constexpr int kMaxStoredLines = 2000;
// A trace of a thousand rolls is about one mebibyte.
constexpr std::size_t kMaxAnswer = std::size_t{8} << 20;

/// The samples that the page draws: a tenth of all.
std::string Drawn(std::string_view metrics) {
  std::string drawn;
  while (!metrics.empty()) {
    const std::size_t end = std::min(metrics.find('\n'), metrics.size() - 1);
    const std::string_view line = metrics.substr(0, end + 1);
    if (line.starts_with("http_requests_total{") ||
        line.starts_with("http_request_duration_seconds_bucket{") ||
        line.starts_with("database_connection_pool_")) {
      drawn += line;
    }
    metrics.remove_prefix(end + 1);
  }
  return drawn;
}

/// What one source is asked, and what takes its answer.
struct Question {
  obs::http::Client& source;
  std::string target;
  bool (TraceView::*add)(std::string_view);
};

/// False when the source did not answer as it should.
Task<bool> Ask(const Question& question, TraceView& view, Scope& scope) {
  bool answered = false;
  try {
    const auto answer = co_await question.source.Send(obs::http::ClientRequest(question.target), scope);
    // 404: it knows nothing of that trace, at least not yet.
    answered = answer.status == 404 || (answer.status == 200 && (view.*question.add)(answer.body));
  } catch (const obs::http::ClientError&) {  // told to the page, whatever the reason
  }
  co_return answered;
}

/// Nothing of a service that is down: that is what the page shall show.
Task<std::optional<std::string>> AskMetrics(obs::http::Client& service, Scope& scope) {
  std::optional<std::string> metrics;
  try {
    const auto answer = co_await service.Send(obs::http::ClientRequest("/metrics"), scope);
    if (answer.status == 200) metrics = Drawn(answer.body);
  } catch (const obs::http::ClientError&) {
  }
  co_return metrics;
}

}  // namespace

Observer::Observer(ObserverConfig config, const obs::trace::Buffer* own,
                   const obs::metrics::Registry& registry)
    : own_(own), own_registry_(registry) {
  for (auto& service : config.services) {
    service.timeout = kServiceTimeout;
    services_.push_back(MakeClient(std::move(service)));
  }
  trace_store_ = MakeStoreClient("trace store", std::move(config.trace_query_url));
  log_store_ = MakeStoreClient("log store", std::move(config.log_query_url));
  log_selector_ = R"({service_name=~"frontend)";
  for (const auto& service : services_) log_selector_.append("|").append(service->peer());
  log_selector_ += R"("})";
}

std::unique_ptr<obs::http::Client> Observer::MakeStoreClient(std::string name, std::string url) {
  if (url.empty()) return nullptr;
  obs::http::ClientConfig config;
  config.base_url = std::move(url);
  config.peer = std::move(name);
  config.timeout = kStoreTimeout;
  return MakeClient(std::move(config));
}

std::unique_ptr<obs::http::Client> Observer::MakeClient(obs::http::ClientConfig config) {
  config.connect_timeout = kConnectTimeout;
  config.max_body_bytes = kMaxAnswer;
  config.max_concurrent = kObserverConcurrency;
  config.max_idle_connections = kObserverConcurrency;
  return std::make_unique<obs::http::Client>(std::move(config), obs::Telemetry::None());
}

Observer::Source Observer::SourceBeside(const obs::http::Client* store) const {
  if (store != nullptr) return Source::kStore;
  return own_ != nullptr ? Source::kServices : Source::kNone;
}

Observer::Source Observer::trace_source() const { return SourceBeside(trace_store_.get()); }
Observer::Source Observer::log_source() const { return SourceBeside(log_store_.get()); }

Task<std::string> Observer::Trace(std::string trace_id, Scope& scope) {
  const auto turn = co_await views_.Acquire(scope.loop(), scope.deadline());
  if (!turn.permit) {
    throw obs::Error(obs::ErrorCode::kOverloaded, "overloaded", "Too many traces are looked at at once.");
  }
  TraceView view(trace_id);
  std::vector<Question> questions;
  if (own_ != nullptr) {
    view.Add(own_->Find(trace_id));
    for (const auto& service : services_) {
      questions.push_back({*service, "/traces/" + trace_id, &TraceView::Add});
    }
  }
  if (trace_store_) questions.push_back({*trace_store_, "/api/traces/" + trace_id, &TraceView::Add});
  if (log_store_) {
    // Of the last hour, which is what a store takes when no time is given.
    questions.push_back(
        {*log_store_,
         "/loki/api/v1/query_range?direction=forward&limit=" + std::to_string(kMaxStoredLines) +
             "&query=" + obs::http::PercentEncode(log_selector_ + " |= `" + trace_id + '`'),
         &TraceView::AddStoredLines});
  }
  std::vector<Task<bool>> asking;
  asking.reserve(questions.size());
  for (const Question& question : questions) asking.push_back(Ask(question, view, scope));
  obs::async::All<bool> all(std::move(asking));
  const std::vector<bool> answered = co_await all;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    if (!answered[i]) view.AddUnreachable(questions[i].source.peer());
  }
  co_return view.Finish();
}

Task<std::string> Observer::Metrics(Scope& scope) {
  std::vector<Task<std::optional<std::string>>> asking;
  asking.reserve(services_.size());
  for (const auto& service : services_) asking.push_back(AskMetrics(*service, scope));
  obs::async::All<std::optional<std::string>> all(std::move(asking));
  const auto answers = co_await all;

  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> json(buffer);
  const auto write = [&json](const std::string& service, const std::optional<std::string>& metrics) {
    json.Key(service.c_str());
    if (metrics) {
      json.String(metrics->data(), static_cast<rapidjson::SizeType>(metrics->size()));
    } else {
      json.Null();
    }
  };
  json.StartObject();
  write("frontend", Drawn(own_registry_.Render(obs::metrics::Format::kText)));
  for (std::size_t i = 0; i < services_.size(); ++i) write(services_[i]->peer(), answers[i]);
  json.EndObject();
  co_return std::string(buffer.GetString(), buffer.GetSize());
}

}  // namespace frontend
