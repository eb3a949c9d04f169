#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "obs/async/run.h"
#include "obs/http1/origin.h"
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
    std::string body{};
  };

  /// At most `slots` requests at once. With a certificate that cannot be read, each of them fails.
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
  class Alarm;
  class Slot;

  std::string HeadOf(std::string_view request) const;
  async::Task<Answer> Send(std::size_t slot, std::string_view request, async::Deadline deadline);

  std::string fixed_head_;  ///< of each request: all but its length
  async::StandaloneLoop loop_;
  std::unique_ptr<http1::Origin> origin_;  ///< null when it cannot be used
  std::string broken_;                     ///< and why
  std::vector<Answer> answers_;
  bool woken_ = false;
  std::unique_ptr<Alarm> alarm_;
  std::vector<std::unique_ptr<Slot>> slots_;
};

}  // namespace obs::trace
