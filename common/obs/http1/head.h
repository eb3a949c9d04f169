#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "obs/error/error.h"

namespace obs::http1 {

/// The headers of a message, in the order sent. Views point into the message's head or into `combined`.
struct Headers {
  std::vector<std::pair<std::string_view, std::string_view>> list;  ///< each name once
  std::list<std::string> combined;  ///< values of headers that came in several lines, joined by commas

  /// The value of a header, whatever the case of its name; an empty view without one.
  std::string_view Find(std::string_view name) const;
};

/// Where the head of a message ends: past its empty line, or npos. `searched` is how much of `input` an
/// earlier look went over, and is brought up to date.
std::size_t FindHeadEnd(std::string_view input, std::size_t& searched);

/// Throws obs::Error `malformed-request` unless every line that ends behind `from` ends in CR LF.
void CheckLines(std::string_view head, std::size_t from = 0);

/// Reads the header lines behind the first line (RFC 9112, section 5), strictly: whatever two readers could
/// understand in two ways is refused, because request smuggling lives on it. Lines of one name become one
/// (RFC 9110, section 5.3), but of Content-Length, Host and Transfer-Encoding there may be one only.
/// Throws obs::Error `malformed-request` or `headers-too-large`.
Headers ParseHeaders(std::string_view lines);

/// The seconds of a Retry-After header (RFC 9110, section 10.2.3), at most a day, so that they can be counted
/// in any unit. 0 for a date, which is the other form, and for what is neither.
std::chrono::seconds ParseRetryAfter(std::string_view value);

/// How the body of a message is framed (RFC 9112, section 6).
struct BodyFraming {
  enum class Kind { kNone, kLength, kChunked };
  Kind kind = Kind::kNone;
  std::size_t length = 0;
};

/// What Content-Length and Transfer-Encoding say. Throws obs::Error `malformed-request`, or kNotImplemented
/// for a coding other than chunked, or `body-too-large`.
BodyFraming ParseBodyFraming(const Headers& headers, std::size_t max_bytes);

/// Reads a chunked body (RFC 9112, section 7.1). Extensions and trailers are passed over.
class ChunkedReader {
 public:
  explicit ChunkedReader(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  /// Takes what it can from the start of `input`, and appends content to `body`. Gives how much it took; the
  /// rest must be given again, with more behind it. Throws obs::Error `malformed-request` or
  /// `body-too-large`.
  std::size_t Read(std::string_view input, std::string& body);
  bool complete() const { return state_ == State::kComplete; }

 private:
  enum class State { kSize, kContent, kContentEnd, kTrailer, kComplete };
  bool ReadSize(std::string_view line);

  const std::size_t max_bytes_;
  State state_ = State::kSize;
  std::size_t left_ = 0;      ///< of the chunk
  std::size_t trailers_ = 0;  ///< bytes of trailer lines
};

}  // namespace obs::http1
