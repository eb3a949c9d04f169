#include "obs/log/json.h"

#include <array>
#include <charconv>
#include <cmath>

#include "obs/text/utf8.h"

namespace obs::log {
namespace {

constexpr std::size_t kMaxBytes = 4096;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// What JSON lets through as it is, leaving everything beyond ASCII to the UTF-8 check.
constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (int c = 0x20; c < 0x80; ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}();

bool IsPlain(char c) { return kPlain[static_cast<unsigned char>(c)]; }

std::string_view Cut(std::string_view text) {
  if (text.size() <= kMaxBytes) return text;
  std::size_t end = kMaxBytes;
  const auto continues = [text](std::size_t i) {
    return (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80;
  };
  while (end > kMaxBytes - 3 && continues(end)) --end;
  return text.substr(0, end);
}

void AppendEscaped(std::string& out, char c) {
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
      out += "\\u00";
      out += kHex[(c >> 4) & 0xF];
      out += kHex[c & 0xF];
  }
}

template <typename Number>
void AppendNumber(std::string& out, Number value) {
  std::array<char, 32> digits{};
  out.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr);
}

}  // namespace

void AppendJson(std::string& out, std::string_view text) {
  text = Cut(text);
  out += '"';
  while (!text.empty()) {
    std::size_t plain = 0;
    while (plain < text.size() && IsPlain(text[plain])) ++plain;
    out.append(text.data(), plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const std::size_t sequence = text::Utf8SequenceLength(text);
    if (sequence == 1) {
      AppendEscaped(out, text[0]);
    } else {
      out.append(sequence == 0 ? kReplacement : text.substr(0, sequence));
    }
    text.remove_prefix(sequence == 0 ? 1 : sequence);
  }
  out += '"';
}

void AppendJson(std::string& out, double value) {
  if (std::isfinite(value)) {
    AppendNumber(out, value);
  } else {
    out += "null";
  }
}

void AppendJson(std::string& out, std::int64_t value) { AppendNumber(out, value); }

void AppendJson(std::string& out, bool value) { out += value ? "true" : "false"; }

}  // namespace obs::log
