#include "obs/trace/exporter.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <utility>

#include "obs/trace/list.h"
#include "obs/trace/otlp_span.h"
#include "obs/trace/throttle.h"

namespace obs::trace {
namespace {

namespace sdk = opentelemetry::sdk;
using sdk::common::ExportResult;
using sdk::trace::Recordable;

struct FreeHeaders {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct CloseHandle {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
using Headers = std::unique_ptr<curl_slist, FreeHeaders>;

void Add(Headers& headers, const std::string& line) {
  if (curl_slist* list = curl_slist_append(headers.get(), line.c_str())) {
    static_cast<void>(headers.release());
    headers.reset(list);
  }
}

std::string PercentDecoded(std::string_view text) {
  if (text.empty()) {  // which libcurl would take for a string of unknown length
    return {};
  }
  int size = 0;
  char* decoded = curl_easy_unescape(nullptr, text.data(), static_cast<int>(text.size()), &size);
  std::string copy(decoded ? decoded : "", decoded ? static_cast<std::size_t>(size) : 0);
  curl_free(decoded);
  return copy;
}

bool IsPrintable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

/// `configured`: name=value pairs, percent-encoded, as OTEL_EXPORTER_OTLP_HEADERS has them.
Headers MakeHeaders(std::string_view configured) {
  Headers headers;
  Add(headers, "Content-Type: application/x-protobuf");
  Add(headers, "Expect:");
  ForEachItem(configured, ',', [&headers](std::string_view pair) {
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const std::string value = PercentDecoded(Trim(pair.substr(std::min(equals + 1, pair.size()))));
    if (equals > 0 && equals < pair.size() && IsPrintable(value)) {
      Add(headers, fmt::format("{}: {}", Trim(pair.substr(0, equals)), value));
    }
  });
  return headers;
}

std::size_t Discard(char*, std::size_t size, std::size_t count, void*) { return size * count; }

/// Posts to one URL over one kept-alive connection. Not thread-safe.
class Collector {
 public:
  explicit Collector(const Config& config) : headers_(MakeHeaders(config.otlp_headers)) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    handle_.reset(curl_easy_init());
    if (!handle_) {
      throw std::runtime_error("libcurl cannot be initialised");
    }
    const auto timeout = static_cast<long>(config.export_timeout.count());
    Set(CURLOPT_URL, config.otlp_endpoint.c_str());
    Set(CURLOPT_PROTOCOLS_STR, "http,https");
    Set(CURLOPT_HTTPHEADER, headers_.get());
    Set(CURLOPT_USERAGENT, "OTel-OTLP-Exporter-obs");
    Set(CURLOPT_TIMEOUT_MS, timeout);
    Set(CURLOPT_CONNECTTIMEOUT_MS, timeout);
    Set(CURLOPT_NOSIGNAL, 1L);
    Set(CURLOPT_WRITEFUNCTION, &Discard);
    Set(CURLOPT_ERRORBUFFER, error_.data());
    SetFile(CURLOPT_CAINFO, config.otlp_certificate);
    SetFile(CURLOPT_SSLCERT, config.otlp_client_certificate);
    SetFile(CURLOPT_SSLKEY, config.otlp_client_key);
  }

  /// What went wrong; empty when the collector took it.
  std::string Post(std::string_view body) {
    error_[0] = '\0';
    Set(CURLOPT_POSTFIELDS, body.data());
    Set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    if (const CURLcode code = curl_easy_perform(handle_.get()); code != CURLE_OK) {
      return error_[0] != '\0' ? error_.data() : curl_easy_strerror(code);
    }
    long status = 0;
    curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &status);
    return status / 100 == 2 ? std::string() : fmt::format("the collector answered {}", status);
  }

 private:
  template <typename Value>
  void Set(CURLoption option, Value value) {
    curl_easy_setopt(handle_.get(), option, value);
  }
  void SetFile(CURLoption option, const std::string& path) {
    if (!path.empty()) {
      Set(option, path.c_str());
    }
  }

  Headers headers_;
  std::unique_ptr<CURL, CloseHandle> handle_;
  std::array<char, CURL_ERROR_SIZE> error_{};
};

/// Takes the spans apart: what is encoded need not wait for the collector.
std::string Encode(const opentelemetry::nostd::span<std::unique_ptr<Recordable>>& batch) {
  std::string spans;
  for (std::unique_ptr<Recordable>& span : batch) {
    AppendSpan(spans, static_cast<const OtlpSpan&>(*span));
    span.reset();
  }
  return spans;
}

class OtlpExporter final : public sdk::trace::SpanExporter {
 public:
  OtlpExporter(const Config& config, const sdk::resource::Resource& resource, const log::Logger& logger)
      : origin_(resource, "obs", config.service_version), collector_(config), logger_(logger) {}

  std::unique_ptr<Recordable> MakeRecordable() noexcept override { return std::make_unique<OtlpSpan>(); }

  ExportResult Export(
      const opentelemetry::nostd::span<std::unique_ptr<Recordable>>& batch) noexcept override {
    const std::string error = collector_.Post(EncodeRequest(origin_, Encode(batch)));
    if (error.empty()) {
      return ExportResult::kSuccess;
    }
    lost_ += batch.size();
    if (throttle_.Pass()) {
      logger_.Warn("Spans could not be exported", {{"error", std::string_view(error)}, {"spans", lost_}});
      lost_ = 0;
    }
    return ExportResult::kFailure;
  }

  bool ForceFlush(std::chrono::microseconds) noexcept override { return true; }
  bool Shutdown(std::chrono::microseconds) noexcept override { return true; }

 private:
  const OtlpOrigin origin_;
  Collector collector_;
  const log::Logger logger_;
  Throttle throttle_;
  std::uint64_t lost_ = 0;  ///< since the last line about it
};

}  // namespace

std::unique_ptr<sdk::trace::SpanExporter> MakeOtlpExporter(const Config& config,
                                                           const sdk::resource::Resource& resource,
                                                           const log::Logger& logger) {
  return std::make_unique<OtlpExporter>(config, resource, logger);
}

}  // namespace obs::trace
