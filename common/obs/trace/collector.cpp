#include "obs/trace/collector.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace obs::trace {
namespace {

/// An answer is a few bytes. A stranger's may be a page, and must not fill the memory.
constexpr std::size_t kMaxBodyBytes = 4096;
/// Seconds; longer than any export may take, and short enough to be counted in any unit.
constexpr curl_off_t kMaxRetryAfter = 86'400;

/// OpenTelemetry Protocol, "OTLP/HTTP Response".
bool IsTemporary(long status) { return status == 429 || status == 502 || status == 503 || status == 504; }

/// No connection, or one that broke before the answer.
bool IsTemporary(CURLcode code) {
  static constexpr std::array kTemporary = {CURLE_COULDNT_RESOLVE_PROXY,
                                            CURLE_COULDNT_RESOLVE_HOST,
                                            CURLE_COULDNT_CONNECT,
                                            CURLE_SEND_ERROR,
                                            CURLE_RECV_ERROR,
                                            CURLE_GOT_NOTHING};
  return std::find(kTemporary.begin(), kTemporary.end(), code) != kTemporary.end();
}

std::size_t KeepBody(const char* bytes, std::size_t size, std::size_t count, void* to) {
  std::string& body = *static_cast<std::string*>(to);
  body.append(bytes, std::min(size * count, kMaxBodyBytes - body.size()));
  return size * count;
}

}  // namespace

Collector::Collector(const Config& config) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  handle_.reset(curl_easy_init());
  if (!handle_) {
    throw std::runtime_error("libcurl cannot be initialised");
  }
  AddHeader("Content-Type: application/x-protobuf");
  AddHeader("Expect:");
  for (const auto& [name, value] : config.otlp_headers) {
    AddHeader(fmt::format("{}: {}", name, value));
  }
  Set(CURLOPT_URL, config.otlp_endpoint.c_str());
  Set(CURLOPT_PROTOCOLS_STR, "http,https");
  Set(CURLOPT_HTTPHEADER, headers_.get());
  Set(CURLOPT_USERAGENT, "OTel-OTLP-Exporter-obs");
  Set(CURLOPT_NOSIGNAL, 1L);
  Set(CURLOPT_WRITEFUNCTION, &KeepBody);
  Set(CURLOPT_ERRORBUFFER, error_.data());
  SetFile(CURLOPT_CAINFO, config.otlp_certificate);
  SetFile(CURLOPT_SSLCERT, config.otlp_client_certificate);
  SetFile(CURLOPT_SSLKEY, config.otlp_client_key);
}

Collector::Answer Collector::Post(std::string_view request, std::chrono::milliseconds timeout) {
  Answer answer;
  error_[0] = '\0';
  Set(CURLOPT_POSTFIELDS, request.data());
  Set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.size()));
  Set(CURLOPT_WRITEDATA, &answer.body);
  const long milliseconds = std::max(static_cast<long>(timeout.count()), 1L);  // 0 would mean without end
  Set(CURLOPT_TIMEOUT_MS, milliseconds);
  Set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds);
  if (const CURLcode code = curl_easy_perform(handle_.get()); code != CURLE_OK) {
    answer.error = error_[0] != '\0' ? error_.data() : curl_easy_strerror(code);
    answer.temporary = IsTemporary(code);
    return answer;
  }
  long status = 0;
  curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status / 100 != 2) {
    answer.error = fmt::format("the collector answered {}", status);
    answer.temporary = IsTemporary(status);
    curl_off_t seconds = 0;
    curl_easy_getinfo(handle_.get(), CURLINFO_RETRY_AFTER, &seconds);
    answer.retry_after = std::chrono::seconds(std::clamp<curl_off_t>(seconds, 0, kMaxRetryAfter));
  }
  return answer;
}

void Collector::SetFile(CURLoption option, const std::string& path) {
  if (!path.empty()) {
    Set(option, path.c_str());
  }
}

void Collector::AddHeader(const std::string& line) {
  if (curl_slist* list = curl_slist_append(headers_.get(), line.c_str())) {
    static_cast<void>(headers_.release());
    headers_.reset(list);
  }
}

}  // namespace obs::trace
