#pragma once

#include <curl/curl.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "obs/trace/tracer.h"

namespace obs::trace {

/// Where OTLP goes: posts to one URL, several requests at once, each over a kept-alive connection of its own.
/// For one thread, apart from Wake.
class Collector {
 public:
  struct Answer {
    std::size_t slot = 0;
    std::string error{};                  ///< why the collector did not take the request; empty when it did
    bool temporary = false;               ///< it may take the same request later
    bool silent = false;                  ///< it did not answer in time
    std::chrono::seconds retry_after{0};  ///< and not before that; 0 when it does not say
    std::string body{};                   ///< its first 4 KiB
  };

  /// At most `slots` requests at once.
  Collector(const Config& config, std::size_t slots);
  ~Collector();
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;

  /// Begins to send in a slot that is free. `request` must stay until its answer is there.
  void Post(std::size_t slot, std::string_view request, std::chrono::milliseconds timeout);
  /// Sends and receives until an answer is there, Wake was called or the time is over. The answers free their
  /// slots.
  std::vector<Answer> Wait(std::chrono::milliseconds limit);
  /// Gives a request up: there will be no answer. Does nothing in a slot that is free.
  void Cancel(std::size_t slot);
  /// Ends a Wait, or the next one. Thread-safe, and never blocks.
  void Wake();

 private:
  struct FreeHeaders {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };
  struct CloseMulti {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
  };
  struct CloseHandle {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  };
  struct Slot {
    std::unique_ptr<CURL, CloseHandle> handle;  ///< null before the first request
    bool busy = false;
    std::string body;
    std::array<char, CURL_ERROR_SIZE> error{};
  };

  void AddHeader(const std::string& line);
  void Prepare(Slot& slot, std::size_t number);
  std::vector<Answer> TakeAnswers();
  Answer Read(std::size_t number, CURLcode code);

  const Config config_;
  std::unique_ptr<curl_slist, FreeHeaders> headers_;
  std::unique_ptr<CURLM, CloseMulti> multi_;
  std::vector<Slot> slots_;
};

}  // namespace obs::trace
