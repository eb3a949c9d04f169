#pragma once

#include <curl/curl.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "obs/trace/tracer.h"

namespace obs::trace {

/// Where OTLP goes: posts to one URL over one kept-alive connection. Not thread-safe.
class Collector {
 public:
  struct Answer {
    std::string error{};                  ///< why the collector did not take the request; empty when it did
    bool temporary = false;               ///< it may take the same request later
    std::chrono::seconds retry_after{0};  ///< and not before that; 0 when it does not say
    std::string body{};                   ///< its first 4 KiB
  };

  explicit Collector(const Config& config);

  Answer Post(std::string_view request, std::chrono::milliseconds timeout);

 private:
  struct FreeHeaders {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };
  struct CloseHandle {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  };

  template <typename Value>
  void Set(CURLoption option, Value value) {
    curl_easy_setopt(handle_.get(), option, value);
  }
  void SetFile(CURLoption option, const std::string& path);
  void AddHeader(const std::string& line);

  std::unique_ptr<curl_slist, FreeHeaders> headers_;
  std::unique_ptr<CURL, CloseHandle> handle_;
  std::array<char, CURL_ERROR_SIZE> error_{};
};

}  // namespace obs::trace
