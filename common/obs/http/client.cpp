#include "obs/http/client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "obs/text/authority.h"

namespace obs::http {
namespace {

/// Below the server's idle timeout, so that a connection is not reused in the moment it is being closed.
constexpr long kMaxIdleSeconds = 60;

struct EasyDeleter {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};

/// One connection and the answer it is receiving. Used by one caller at a time.
struct Transfer {
  std::unique_ptr<CURL, EasyDeleter> curl{curl_easy_init()};
  std::string body;
  std::size_t limit = 0;
};

std::size_t Receive(char* data, std::size_t size, std::size_t count, void* transfer_pointer) {
  auto& transfer = *static_cast<Transfer*>(transfer_pointer);
  const std::size_t bytes = size * count;
  if (transfer.body.size() + bytes > transfer.limit) return 0;  // curl then ends the transfer
  transfer.body.append(data, bytes);
  return bytes;
}

class HeaderList {
 public:
  HeaderList() = default;
  ~HeaderList() { curl_slist_free_all(list_); }
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;

  void Add(const std::string& line) {
    curl_slist* longer = curl_slist_append(list_, line.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    list_ = longer;
  }
  curl_slist* get() const { return list_; }

 private:
  curl_slist* list_ = nullptr;
};

ClientFailure FailureOf(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
      return ClientFailure::kRefused;
    case CURLE_OPERATION_TIMEDOUT:
      return ClientFailure::kTimeout;
    default:
      return ClientFailure::kInvalid;
  }
}

ClientError MakeError(ClientFailure failure, const ClientConfig& config, std::string cause) {
  switch (failure) {
    case ClientFailure::kRefused:
      return {failure, config.peer + "-unreachable", fmt::format("{} cannot be reached.", config.peer),
              std::move(cause)};
    case ClientFailure::kTimeout:
      return {failure, config.peer + "-timeout", fmt::format("{} did not answer in time.", config.peer),
              std::move(cause)};
    case ClientFailure::kInvalid:
      break;
  }
  return {failure, config.peer + "-invalid", fmt::format("{} gave no valid answer.", config.peer),
          std::move(cause)};
}

struct Server {
  std::string address;
  std::int64_t port;
};

/// Of "http://host:port/path"; of what is no such URL nothing is known, and no call will succeed.
Server ServerOf(std::string_view url) {
  const std::int64_t standard = url.starts_with("https://") ? 443 : 80;
  const std::size_t slashes = std::min(url.find("//"), url.size());
  url.remove_prefix(std::min(slashes + 2, url.size()));
  const auto authority = text::ParseAuthority(url.substr(0, url.find('/')));
  if (!authority) return {{}, standard};
  return {std::string(authority->host), authority->port.value_or(static_cast<std::uint16_t>(standard))};
}

}  // namespace

std::string_view Name(ClientFailure failure) {
  switch (failure) {
    case ClientFailure::kRefused:
      return "refused";
    case ClientFailure::kTimeout:
      return "timeout";
    case ClientFailure::kInvalid:
      break;
  }
  return "invalid";
}

struct Client::Impl {
  std::unique_ptr<Transfer> Take();
  void GiveBack(std::unique_ptr<Transfer> transfer);
  void Configure(Transfer& transfer) const;
  void AddHeaders(HeaderList& headers, const trace::Span& span) const;

  ClientConfig config;
  Server server;
  metrics::Family<metrics::Histogram>& durations;
  metrics::Histogram& ok_duration;
  const trace::Tracer& tracer;
  const trace::Propagator& propagator;
  std::mutex mutex;
  std::vector<std::unique_ptr<Transfer>> idle;
};

std::unique_ptr<Transfer> Client::Impl::Take() {
  {
    const std::lock_guard lock(mutex);
    if (!idle.empty()) {
      auto transfer =
          std::move(idle.back());  // the latest used: its connection is the least likely to be stale
      idle.pop_back();
      return transfer;
    }
  }
  auto transfer = std::make_unique<Transfer>();
  if (!transfer->curl) throw std::bad_alloc();
  transfer->limit = config.max_body_bytes;
  Configure(*transfer);
  return transfer;
}

void Client::Impl::GiveBack(std::unique_ptr<Transfer> transfer) {
  const std::lock_guard lock(mutex);
  if (idle.size() < config.max_idle_connections) idle.push_back(std::move(transfer));
}

void Client::Impl::Configure(Transfer& transfer) const {
  CURL* curl = transfer.curl.get();
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);  // "/dice/.." must not become "/"
  curl_easy_setopt(curl, CURLOPT_PROXY, "");  // calls between services take no proxy from the environment
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(config.connect_timeout.count()));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(config.timeout.count()));
  curl_easy_setopt(curl, CURLOPT_MAXAGE_CONN, kMaxIdleSeconds);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Receive);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "obs");
}

void Client::Impl::AddHeaders(HeaderList& headers, const trace::Span& span) const {
  headers.Add("Accept: application/json");
  headers.Add("Connection: keep-alive");  // stock Pistache closes without it
  propagator.Inject(span.context(), [&headers](std::string_view name, std::string_view value) {
    headers.Add(fmt::format("{}: {}", name, value));
  });
}

Client::Client(ClientConfig config, metrics::Registry& registry, const trace::Tracer& tracer,
               const trace::Propagator& propagator) {
  static std::once_flag initialized;
  std::call_once(initialized, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  auto& durations = registry.AddHistogram("http_client_request_duration_seconds",
                                          "Time of calls to other services, by peer and status or failure.",
                                          {"peer", "status"}, metrics::HttpDurationBuckets());
  const std::string peer = config.peer;
  Server server = ServerOf(config.base_url);
  // NOLINTNEXTLINE(modernize-make-unique): it cannot name the members
  impl_.reset(new Impl{.config = std::move(config),
                       .server = std::move(server),
                       .durations = durations,
                       .ok_duration = durations.With({peer, "200"}),
                       .tracer = tracer,
                       .propagator = propagator,
                       .mutex = {},
                       .idle = {}});
}

Client::~Client() = default;

const std::string& Client::peer() const { return impl_->config.peer; }

ClientResponse Client::Get(std::string_view target, const trace::Context& parent) {
  const std::string url = fmt::format("{}{}", impl_->config.base_url, target);
  trace::Span span = impl_->tracer.Start("GET", trace::Kind::kClient, parent,
                                         {{"http.request.method", "GET"},
                                          {"url.full", url},
                                          {"server.address", impl_->server.address},
                                          {"server.port", impl_->server.port}});
  HeaderList headers;
  impl_->AddHeaders(headers, span);

  auto transfer = impl_->Take();
  CURL* curl = transfer->curl.get();
  transfer->body.clear();
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  const auto start = std::chrono::steady_clock::now();
  const CURLcode code = curl_easy_perform(curl);
  const auto duration = std::chrono::steady_clock::now() - start;
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, nullptr);

  if (code != CURLE_OK) {
    const ClientFailure failure = FailureOf(code);
    impl_->durations.With({peer(), Name(failure)}).Observe(duration, span.exemplar());
    ClientError error = MakeError(failure, impl_->config, curl_easy_strerror(code));
    span.Fail(Name(failure), error.detail());
    throw error;  // the transfer goes with it: its connection is in an unknown state
  }

  long status = 0;
  const char* content_type = nullptr;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &content_type);
  curl_off_t retry_after = 0;
  curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &retry_after);
  ClientResponse response{static_cast<int>(status), content_type != nullptr ? content_type : "",
                          std::move(transfer->body), std::chrono::seconds(retry_after)};
  impl_->GiveBack(std::move(transfer));

  span.Set({"http.response.status_code", response.status});
  if (response.status == 200) {
    impl_->ok_duration.Observe(duration, span.exemplar());
  } else {
    const std::string label = std::to_string(response.status);
    impl_->durations.With({peer(), label}).Observe(duration, span.exemplar());
    if (response.status >= 400) span.Fail(label, "");
  }
  return response;
}

}  // namespace obs::http
