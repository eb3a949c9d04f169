#include "observer.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <optional>
#include <utility>

#include "obs/http/message.h"
#include "trace_view.h"

namespace frontend {
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
  return std::make_unique<obs::http::Client>(std::move(config), registry_, tracer_, propagator_);
}

Observer::Source Observer::SourceBeside(const obs::http::Client* store) const {
  if (store != nullptr) return Source::kStore;
  return own_ != nullptr ? Source::kServices : Source::kNone;
}

Observer::Source Observer::trace_source() const { return SourceBeside(trace_store_.get()); }
Observer::Source Observer::log_source() const { return SourceBeside(log_store_.get()); }

std::string Observer::Trace(std::string_view trace_id) {
  TraceView view(trace_id);
  const auto ask = [&view](obs::http::Client& client, const std::string& target,
                           bool (TraceView::*add)(std::string_view)) {
    try {
      const auto answer = client.Get(target, {});
      // 404: it knows nothing of that trace, at least not yet.
      if (answer.status == 404 || (answer.status == 200 && (view.*add)(answer.body))) return;
    } catch (const obs::http::ClientError&) {  // told below, whatever the reason
    }
    view.AddUnreachable(client.peer());
  };
  const std::string id(trace_id);
  if (own_ != nullptr) {
    view.Add(own_->Find(trace_id));
    for (const auto& service : services_) ask(*service, "/traces/" + id, &TraceView::Add);
  }
  if (trace_store_) ask(*trace_store_, "/api/traces/" + id, &TraceView::Add);
  if (log_store_) {
    // Of the last hour, which is what a store takes when no time is given.
    ask(*log_store_,
        "/loki/api/v1/query_range?direction=forward&limit=" + std::to_string(kMaxStoredLines) +
            "&query=" + obs::http::PercentEncode(log_selector_ + " |= `" + id + '`'),
        &TraceView::AddStoredLines);
  }
  return view.Finish();
}

std::string Observer::Metrics() {
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
  for (const auto& service : services_) {
    std::optional<std::string> metrics;
    try {
      const auto answer = service->Get("/metrics", {});
      if (answer.status == 200) metrics = Drawn(answer.body);
    } catch (const obs::http::ClientError&) {  // a service that is down is what the page shall show
    }
    write(service->peer(), metrics);
  }
  json.EndObject();
  return {buffer.GetString(), buffer.GetSize()};
}

}  // namespace frontend
