#include "obs/log/json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "obs/text/utf8.h"

namespace obs::log {
namespace {

constexpr std::size_t kMaxBytes = 4096;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// What needs no look beyond itself: printable ASCII without the quote and the backslash.
constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (int c = 0x20; c < 0x7F; ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}();

/// Where the plain bytes end that begin at `at`.
std::size_t PlainEnd(std::string_view text, std::size_t at) {
  const auto* const begin = reinterpret_cast<const unsigned char*>(text.data());
  return static_cast<std::size_t>(
      std::find_if_not(begin + at, begin + text.size(), [](unsigned char c) { return kPlain[c]; }) - begin);
}

/// The character that a well-formed sequence of at most three bytes stands for.
char32_t Decode(std::string_view text, std::size_t length) {
  const auto byte = [text](std::size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[i]));
  };
  if (length == 1) return byte(0);
  if (length == 2) return (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
  return (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
}

/// Whether `text` begins with a character beyond ASCII that could change what a terminal or an editor shows
/// of the line: C1 controls, separators of lines and paragraphs, and controls of the direction of writing.
bool BeginsWithControl(std::string_view text) {
  switch (static_cast<unsigned char>(text[0])) {
    case 0xC2:
      return Decode(text, 2) < 0xA0;
    case 0xD8:
      return Decode(text, 2) == 0x061C;
    case 0xE2: {
      const char32_t c = Decode(text, 3);
      return c == 0x200E || c == 0x200F || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
    }
    default:
      return false;
  }
}

std::string_view Cut(std::string_view text) {
  if (text.size() <= kMaxBytes) return text;
  std::size_t end = kMaxBytes;
  const auto continues = [text](std::size_t i) {
    return (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80;
  };
  while (end > kMaxBytes - 3 && continues(end)) --end;
  return text.substr(0, end);
}

void AppendEscaped(std::string& out, char32_t c) {
  static constexpr char kHex[] = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      break;
    case '\\':
      out += "\\\\";
      break;
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\t':
      out += "\\t";
      break;
    default:
      out += "\\u";
      for (int shift = 12; shift >= 0; shift -= 4) out += kHex[(c >> shift) & 0xF];
  }
}

template <typename Number>
void AppendNumber(std::string& out, Number value) {
  std::array<char, 32> digits{};
  out.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr);
}

/// What stands between the quotes of a string.
void AppendContent(std::string& out, std::string_view text) {
  text = Cut(text);
  std::size_t copied = 0;
  for (std::size_t at = 0;;) {
    at = PlainEnd(text, at);
    if (at == text.size()) break;
    const std::string_view rest(text.data() + at, text.size() - at);
    const std::size_t length = text::Utf8SequenceLength(rest);
    if (length > 1 && !BeginsWithControl(rest)) {
      at += length;
      continue;
    }
    out.append(text.data() + copied, at - copied);
    if (length == 0) {
      out += kReplacement;
    } else {
      AppendEscaped(out, Decode(rest, length));
    }
    at += std::max<std::size_t>(length, 1);
    copied = at;
  }
  out.append(text.data() + copied, text.size() - copied);
}

}  // namespace

void AppendJson(std::string& out, std::string_view text) {
  out += '"';
  AppendContent(out, text);
  out += '"';
}

void AppendMemberName(std::string& out, std::string_view name) {
  out += ",\"";
  AppendContent(out, name);
  out += "\":";
}

void AppendJson(std::string& out, double value) {
  if (std::isfinite(value)) {
    AppendNumber(out, value);
  } else {
    out += "null";
  }
}

void AppendJson(std::string& out, std::int64_t value) { AppendNumber(out, value); }

void AppendJson(std::string& out, std::uint64_t value) { AppendNumber(out, value); }

void AppendJson(std::string& out, bool value) { out += value ? "true" : "false"; }

}  // namespace obs::log
