#include "support/otlp_decoder.h"

#include <array>
#include <cstring>
#include <functional>
#include <stdexcept>

namespace support {
namespace {

/// One field of a protobuf message: a varint or fixed value in `number`, or bytes.
struct WireField {
  std::uint32_t id = 0;
  std::uint64_t number = 0;
  std::string_view bytes;
};

class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : bytes_(bytes) {}

  bool Next(WireField& field) {
    if (bytes_.empty()) return false;
    const std::uint64_t tag = Varint();
    field.id = static_cast<std::uint32_t>(tag >> 3);
    switch (tag & 7) {
      case 0:
        field.number = Varint();
        return true;
      case 1:
        field.number = Fixed(8);
        return true;
      case 2:
        field.bytes = Take(Varint());
        return true;
      case 5:
        field.number = Fixed(4);
        return true;
      default:
        throw std::runtime_error("unknown protobuf wire type");
    }
  }

 private:
  std::string_view Take(std::uint64_t count) {
    if (count > bytes_.size()) throw std::runtime_error("protobuf message is cut off");
    const std::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
  }
  std::uint64_t Varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(Take(1)[0]);
      value |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    throw std::runtime_error("protobuf varint is too long");
  }
  std::uint64_t Fixed(std::size_t size) {
    std::uint64_t value = 0;  // little-endian, as this machine
    std::memcpy(&value, Take(size).data(), size);
    return value;
  }

  std::string_view bytes_;
};

void ForEach(std::string_view message, const std::function<void(const WireField&)>& visit) {
  WireReader reader(message);
  WireField field;
  while (reader.Next(field)) visit(field);
}

std::string Hex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    hex += kDigits[static_cast<unsigned char>(c) >> 4];
    hex += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return hex;
}

std::string DoubleText(std::uint64_t bits) {
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return std::to_string(value);
}

std::string DecodeAnyValue(std::string_view message) {
  std::string text;
  ForEach(message, [&](const WireField& field) {
    switch (field.id) {
      case 1:
        text = field.bytes;
        break;
      case 2:
        text = field.number ? "true" : "false";
        break;
      case 3:
        text = std::to_string(static_cast<std::int64_t>(field.number));
        break;
      case 4:
        text = DoubleText(field.number);
        break;
      default:
        text = "(not a scalar)";
    }
  });
  return text;
}

void DecodeAttribute(std::string_view message, std::map<std::string, std::string>& attributes) {
  std::string key;
  std::string value;
  ForEach(message, [&](const WireField& field) {
    if (field.id == 1) key = field.bytes;
    if (field.id == 2) value = DecodeAnyValue(field.bytes);
  });
  attributes[key] = value;
}

void DecodeStatus(std::string_view message, Span& span) {
  ForEach(message, [&](const WireField& field) {
    if (field.id == 2) span.status_message = field.bytes;
    if (field.id == 3) span.status = field.number == 2 ? "error" : field.number == 1 ? "ok" : "unset";
  });
}

std::string KindName(std::uint64_t kind) {
  constexpr std::array kNames = {"unspecified", "internal", "server", "client", "producer", "consumer"};
  return kind < kNames.size() ? kNames[kind] : "unknown";
}

Span DecodeSpan(std::string_view message) {
  Span span;
  span.status = "unset";
  ForEach(message, [&](const WireField& field) {
    switch (field.id) {
      case 1:
        span.trace_id = Hex(field.bytes);
        break;
      case 2:
        span.span_id = Hex(field.bytes);
        break;
      case 3:
        span.trace_state = field.bytes;
        break;
      case 4:
        span.parent_span_id = Hex(field.bytes);
        break;
      case 5:
        span.name = field.bytes;
        break;
      case 6:
        span.kind = KindName(field.number);
        break;
      case 7:
        span.start = field.number;
        break;
      case 8:
        span.end = field.number;
        break;
      case 9:
        DecodeAttribute(field.bytes, span.attributes);
        break;
      case 15:
        DecodeStatus(field.bytes, span);
        break;
      default:
        break;
    }
  });
  return span;
}

void DecodeResourceSpans(std::string_view message, std::vector<Span>& spans) {
  std::map<std::string, std::string> resource;
  const std::size_t first = spans.size();
  ForEach(message, [&](const WireField& field) {
    ForEach(field.bytes, [&](const WireField& inner) {
      if (field.id == 1 && inner.id == 1) DecodeAttribute(inner.bytes, resource);
      if (field.id == 2 && inner.id == 2) spans.push_back(DecodeSpan(inner.bytes));
    });
  });
  for (std::size_t i = first; i < spans.size(); ++i) {
    spans[i].resource = resource;
    spans[i].service = resource["service.name"];
  }
}

}  // namespace

std::vector<Span> DecodeTraces(std::string_view bytes) {
  std::vector<Span> spans;
  ForEach(bytes, [&](const WireField& field) {
    if (field.id == 1) DecodeResourceSpans(field.bytes, spans);
  });
  return spans;
}

}  // namespace support
