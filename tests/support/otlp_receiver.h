#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "support/eventually.h"
#include "support/fake_server.h"
#include "support/otlp_decoder.h"

namespace support {

/// An OTLP/HTTP collector on 127.0.0.1 that decodes and keeps what arrives, or misbehaves. A collector that
/// is absent is a ReservedPort. Thread-safe.
class OtlpReceiver {
 public:
  enum class Mode {
    kNormal,
    kSlow,      ///< answers after a second
    kRefusing,  ///< answers 503
    kStarting,  ///< answers 503 once
    kPicky,     ///< keeps the first span of a request and rejects the others
    kHanging,   ///< reads and never answers
  };

  /// `port` 0 lets the kernel choose.
  explicit OtlpReceiver(Mode mode = Mode::kNormal, std::uint16_t port = 0);

  std::string url() const { return server_.url(); }
  /// Everything kept so far.
  std::vector<Span> Spans() const;
  std::vector<Span> SpansOf(const std::string& trace_id) const;
  /// Waits until a trace has at least `count` spans and returns what is there then.
  std::vector<Span> WaitForSpans(const std::string& trace_id, std::size_t count,
                                 std::chrono::milliseconds limit = kPatience) const;
  /// Export requests that came, in any mode.
  std::size_t exports() const { return server_.requests().size(); }
  /// Requests that were no OTLP.
  std::size_t malformed() const { return malformed_; }

 private:
  FakeReply Receive(const FakeRequest& request);

  const Mode mode_;
  std::atomic<bool> started_ = false;
  mutable std::mutex mutex_;
  std::vector<Span> spans_;
  std::atomic<std::size_t> malformed_ = 0;
  FakeServer server_;
};

}  // namespace support
