#include "obs/http1/head.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "obs/http1/text.h"

namespace obs::http1 {
namespace {

constexpr std::size_t kMaxHeaders = 100;
/// The line that begins a chunk, with its extensions, and all trailers together.
constexpr std::size_t kMaxChunkLine = 256;
constexpr std::size_t kMaxTrailers = 4096;
constexpr std::string_view kLineEnd = "\r\n";

Error Malformed(std::string detail) {
  return Error(ErrorCode::kInvalidArgument, "malformed-request", std::move(detail));
}

Error TooLarge(std::size_t max_bytes) {
  return Error(ErrorCode::kTooLarge, "body-too-large",
               fmt::format("The body may have at most {} bytes.", max_bytes));
}

bool IsValueCharacter(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

/// Of these a second line is refused even when it says the same.
bool IsSingular(std::string_view name) {
  return EqualsIgnoringCase(name, "Content-Length") || EqualsIgnoringCase(name, "Host") ||
         EqualsIgnoringCase(name, "Transfer-Encoding");
}

void ParseHeader(Headers& headers, std::string_view line) {
  if (line[0] == ' ' || line[0] == '\t') throw Malformed("Folded header lines are not accepted.");
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) throw Malformed("A header line has no colon.");
  const std::string_view name = line.substr(0, colon);
  if (!IsToken(name)) throw Malformed("A header's name has characters that it must not have.");
  const std::string_view value = Trim(line.substr(colon + 1));
  if (!std::all_of(value.begin(), value.end(), IsValueCharacter)) {
    throw Malformed(fmt::format("The value of header '{}' has control characters.", name));
  }
  if (headers.list.size() == kMaxHeaders) {
    throw Error(ErrorCode::kHeadersTooLarge, "headers-too-large",
                fmt::format("More than {} headers.", kMaxHeaders));
  }
  headers.list.emplace_back(name, value);
}

void CombineRepeated(Headers& headers) {
  auto& list = headers.list;
  for (std::size_t i = 0; i + 1 < list.size(); ++i) {
    const auto same = [name = list[i].first](const auto& other) {
      return EqualsIgnoringCase(other.first, name);
    };
    const auto rest = list.begin() + static_cast<std::ptrdiff_t>(i) + 1;
    if (std::none_of(rest, list.end(), same)) continue;
    if (IsSingular(list[i].first)) throw Malformed(fmt::format("More than one {} header.", list[i].first));
    std::string& value = headers.combined.emplace_back(list[i].second);
    for (auto other = rest; other != list.end(); ++other) {
      if (same(*other)) value.append(", ").append(other->second);
    }
    list[i].second = value;
    list.erase(std::remove_if(rest, list.end(), same), list.end());
  }
}

}  // namespace

std::string_view Headers::Find(std::string_view name) const {
  for (const auto& header : list) {
    if (EqualsIgnoringCase(header.first, name)) return header.second;
  }
  return {};
}

std::size_t FindHeadEnd(std::string_view input, std::size_t& searched) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  const std::size_t overlap = kEnd.size() - 1;
  const std::size_t end = input.find(kEnd, searched > overlap ? searched - overlap : 0);
  searched = input.size();
  return end == std::string_view::npos ? end : end + kEnd.size();
}

void CheckLines(std::string_view head, std::size_t from) {
  for (std::size_t at = head.find('\n', from); at != std::string_view::npos; at = head.find('\n', at + 1)) {
    if (at == 0 || head[at - 1] != '\r') throw Malformed("Lines must end in CR LF.");
  }
}

Headers ParseHeaders(std::string_view lines) {
  Headers headers;
  headers.list.reserve(static_cast<std::size_t>(std::count(lines.begin(), lines.end(), '\n')));
  std::size_t end = 0;
  for (; !lines.empty(); lines.remove_prefix(end + kLineEnd.size())) {
    end = lines.find(kLineEnd);
    if (end == 0) break;
    ParseHeader(headers, lines.substr(0, end));
  }
  CombineRepeated(headers);
  return headers;
}

std::chrono::seconds ParseRetryAfter(std::string_view value) {
  constexpr std::int64_t kDay = 86'400;
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  const bool is_number = error == std::errc() && end == value.data() + value.size();
  return std::chrono::seconds(is_number ? std::clamp<std::int64_t>(seconds, 0, kDay) : 0);
}

BodyFraming ParseBodyFraming(const Headers& headers, std::size_t max_bytes) {
  const auto has = [&headers](std::string_view name) {
    return std::any_of(headers.list.begin(), headers.list.end(),
                       [name](const auto& header) { return EqualsIgnoringCase(header.first, name); });
  };
  BodyFraming framing;
  if (has("Transfer-Encoding")) {
    if (has("Content-Length")) throw Malformed("Content-Length and Transfer-Encoding exclude each other.");
    if (!EqualsIgnoringCase(headers.Find("Transfer-Encoding"), "chunked")) {
      throw Error(ErrorCode::kNotImplemented, "transfer-encoding-not-implemented",
                  "No other transfer coding than chunked is understood here.");
    }
    framing.kind = BodyFraming::Kind::kChunked;
    return framing;
  }
  if (!has("Content-Length")) return framing;
  const std::string_view text = headers.Find("Content-Length");
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) {
    throw Malformed("Content-Length must be a number of bytes.");
  }
  framing.kind = BodyFraming::Kind::kLength;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), framing.length);
  if (parsed.ec != std::errc() || framing.length > max_bytes) throw TooLarge(max_bytes);
  return framing;
}

bool ChunkedReader::ReadSize(std::string_view line) {
  const std::string_view digits = Trim(line.substr(0, line.find(';')));
  std::size_t size = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size, 16);
  if (error == std::errc::result_out_of_range) throw TooLarge(max_bytes_);
  if (error != std::errc() || end != digits.data() + digits.size()) {
    throw Malformed("A chunk must begin with its size in hexadecimal digits.");
  }
  left_ = size;
  return size > 0;
}

std::size_t ChunkedReader::Read(std::string_view input, std::string& body) {
  std::size_t taken = 0;
  while (state_ != State::kComplete) {
    const std::string_view rest = input.substr(taken);
    if (state_ == State::kContent) {
      const std::size_t size = std::min(left_, rest.size());
      body.append(rest.substr(0, size));
      taken += size;
      left_ -= size;
      if (left_ > 0) return taken;
      state_ = State::kContentEnd;
      continue;
    }
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) {
      if (rest.size() > kMaxChunkLine) throw Malformed("A line of the chunked body is too long.");
      return taken;
    }
    if (end == 0 || rest[end - 1] != '\r') throw Malformed("Lines must end in CR LF.");
    const std::string_view line = rest.substr(0, end - 1);
    taken += end + 1;
    switch (state_) {
      case State::kSize:
        state_ = ReadSize(line) ? State::kContent : State::kTrailer;
        if (left_ > max_bytes_ - std::min(body.size(), max_bytes_)) throw TooLarge(max_bytes_);
        break;
      case State::kContentEnd:
        if (!line.empty()) throw Malformed("A chunk is longer than its size says.");
        state_ = State::kSize;
        break;
      case State::kTrailer:
        trailers_ += line.size();
        if (trailers_ > kMaxTrailers) throw Malformed("The trailers of the chunked body are too long.");
        if (line.empty()) state_ = State::kComplete;
        break;
      case State::kContent:
      case State::kComplete:
        break;
    }
  }
  return taken;
}

}  // namespace obs::http1
