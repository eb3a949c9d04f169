#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "obs/error/error.h"
#include "obs/http/message.h"
#include "obs/http1/head.h"

namespace obs::http {

struct FramingLimits {
  std::size_t max_target_bytes;
  std::size_t max_header_bytes;  ///< request line and headers
  std::size_t max_body_bytes;
};

/// Reads the requests of one connection, one after the other, from bytes as they come (RFC 9112). What two
/// readers could understand in two ways is refused. Knows no socket.
class RequestReader {
 public:
  enum class State {
    kHead,      ///< more of the request line and headers must come
    kBody,      ///< the head is complete, the body is not
    kComplete,  ///< Take() gives the request
    kRefused,   ///< error() says why; nothing more can be read from this connection
  };

  explicit RequestReader(const FramingLimits& limits) : limits_(limits) {}

  /// Reads from the start of `input`, and gives how much it has taken. The rest is given again with more
  /// bytes behind it. Takes nothing while a complete request waits for Take().
  std::size_t Read(std::string_view input);

  State state() const { return state_; }
  /// Whether a part of a request has come, taken or not.
  bool begun() const { return state_ != State::kHead || searched_ > 0; }
  /// When complete.
  std::unique_ptr<Request> Take();
  /// The connection ends after this request: `Connection: close`, or HTTP/1.0.
  bool wants_close() const { return wants_close_; }
  /// Once, when the head has come and the client waits for "100 Continue" before it sends the body
  /// (RFC 9110, section 10.1.1).
  bool TakeExpectation() { return std::exchange(expects_continue_, false); }
  /// When refused.
  const Error& error() const { return *error_; }

 private:
  std::size_t ReadHead(std::string_view input);
  std::size_t ReadBody(std::string_view input);

  const FramingLimits& limits_;
  State state_ = State::kHead;
  std::size_t searched_ = 0;  ///< of the head that is incomplete
  std::unique_ptr<Request> request_;
  std::size_t body_left_ = 0;
  std::optional<http1::ChunkedReader> chunks_;
  bool wants_close_ = false;
  bool expects_continue_ = false;
  std::unique_ptr<const Error> error_;
};

}  // namespace obs::http
