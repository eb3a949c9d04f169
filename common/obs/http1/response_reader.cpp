#include "obs/http1/response_reader.h"

#include <algorithm>
#include <utility>

#include "obs/http1/text.h"

namespace obs::http1 {
namespace {

Error Malformed(std::string detail) {
  return Error(ErrorCode::kUnavailable, "malformed-response", std::move(detail));
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

void ResponseReader::Refuse(std::string error) {
  state_ = State::kRefused;
  error_ = std::move(error);
}

std::size_t ResponseReader::Read(std::string_view input) {
  std::size_t taken = 0;
  try {
    // Several interim responses may stand before the final one.
    while (state_ == State::kHead) {
      const std::size_t size = ReadHead(input.substr(taken));
      taken += size;
      if (size == 0) return taken;
    }
    if (state_ == State::kBody) taken += ReadBody(input.substr(taken));
  } catch (const Error& error) {
    Refuse(error.detail());
  }
  return taken;
}

void ResponseReader::End() {
  if (state_ == State::kBody && until_close_) {
    state_ = State::kComplete;
  } else if (state_ == State::kHead) {
    Refuse("the connection ended before the headers did");
  } else if (state_ == State::kBody) {
    Refuse("the connection ended before the body did");
  }
}

std::size_t ResponseReader::ReadHead(std::string_view input) {
  const std::size_t end = FindHeadEnd(input, searched_);
  if (std::min(end, input.size()) > max_header_bytes_) throw Malformed("the headers are too large");
  if (end == std::string_view::npos) return 0;
  searched_ = 0;
  head_.assign(input.substr(0, end));
  const std::string_view head(head_);
  CheckLines(head);
  const std::size_t line_end = head.find("\r\n");
  const int status = ParseStatusLine(head.substr(0, line_end));
  headers_ = ParseHeaders(head.substr(line_end + 2));
  if (status == 101) throw Malformed("the protocol was switched unasked");
  if (status >= 200) {
    status_ = status;
    BeginBody();
  }
  return end;
}

int ResponseReader::ParseStatusLine(std::string_view line) {
  // "HTTP/1.1 200 OK"; the reason may be missing, and with it the second space.
  const bool valid = line.size() >= 12 && line.starts_with("HTTP/1.") && IsDigit(line[7]) && line[8] == ' ' &&
                     IsDigit(line[9]) && IsDigit(line[10]) && IsDigit(line[11]) &&
                     (line.size() == 12 || line[12] == ' ');
  if (!valid) throw Malformed("the answer does not begin with an HTTP/1 status line");
  minor_version_ = line[7] == '0' ? 0 : 1;
  const int status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  if (status < 100 || status > 599) throw Malformed("the status is not from 100 to 599");
  return status;
}

void ResponseReader::BeginBody() {
  const std::string_view connection = headers_.Find("Connection");
  keep_alive_ = minor_version_ > 0 ? !HasToken(connection, "close") : HasToken(connection, "keep-alive");
  // What the headers say is then of a body that is not sent (RFC 9112, section 6.3).
  if (head_only_ || status_ == 204 || status_ == 304) {
    state_ = State::kComplete;
    return;
  }
  const BodyFraming framing = ParseBodyFraming(headers_, max_body_bytes_);
  state_ = State::kBody;
  if (framing.kind == BodyFraming::Kind::kLength && framing.length == 0) {
    state_ = State::kComplete;
  } else if (framing.kind == BodyFraming::Kind::kChunked) {
    chunks_.emplace(max_body_bytes_);
  } else if (framing.kind == BodyFraming::Kind::kLength) {
    body_left_ = framing.length;
  } else {
    until_close_ = true;
    keep_alive_ = false;
  }
}

std::size_t ResponseReader::ReadBody(std::string_view input) {
  std::size_t taken = 0;
  if (chunks_) {
    taken = chunks_->Read(input, body_);
    if (chunks_->complete()) state_ = State::kComplete;
    return taken;
  }
  taken = until_close_ ? input.size() : std::min(body_left_, input.size());
  if (until_close_ && body_.size() + taken > max_body_bytes_) throw Malformed("the body is too large");
  body_.append(input.substr(0, taken));
  if (until_close_) return taken;
  body_left_ -= taken;
  if (body_left_ == 0) state_ = State::kComplete;
  return taken;
}

}  // namespace obs::http1
