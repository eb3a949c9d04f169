#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "obs/error/error.h"
#include "obs/http1/head.h"

namespace obs::http1 {

/// Reads one response from bytes as they come, by the rules that RequestReader reads requests by: a response
/// that is cut off, or that two readers could understand in two ways, is refused. Interim responses (1xx)
/// are passed over. Knows no socket.
class ResponseReader {
 public:
  enum class State { kHead, kBody, kComplete, kRefused };

  /// `head_only`: the answer to a HEAD request.
  ResponseReader(bool head_only, std::size_t max_header_bytes, std::size_t max_body_bytes)
      : head_only_(head_only), max_header_bytes_(max_header_bytes), max_body_bytes_(max_body_bytes) {}

  /// Reads from the start of `input`, and gives how much it has taken. The rest is given again with more
  /// bytes behind it.
  std::size_t Read(std::string_view input);
  /// The stream has ended: that completes a body without a length, and cuts any other short.
  void End();

  State state() const { return state_; }
  /// When refused: one line.
  const std::string& error() const { return error_; }

  /// 0 until the head is there.
  int status() const { return status_; }
  std::string_view Header(std::string_view name) const { return headers_.Find(name); }
  std::string& body() { return body_; }
  /// Whether the connection can take another request, when complete.
  bool keep_alive() const { return keep_alive_; }

 private:
  std::size_t ReadHead(std::string_view input);
  int ParseStatusLine(std::string_view line);
  void BeginBody();
  std::size_t ReadBody(std::string_view input);
  void Refuse(std::string error);

  const bool head_only_;
  const std::size_t max_header_bytes_;
  const std::size_t max_body_bytes_;
  State state_ = State::kHead;
  std::size_t searched_ = 0;
  int minor_version_ = 1;
  int status_ = 0;
  std::string head_;
  Headers headers_;
  bool until_close_ = false;
  std::size_t body_left_ = 0;
  std::optional<ChunkedReader> chunks_;
  std::string body_;
  bool keep_alive_ = false;
  std::string error_;
};

}  // namespace obs::http1
