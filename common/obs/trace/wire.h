#pragma once

// Protobuf's wire format, as far as OTLP's traces need it. Writing goes to memory that is large enough: the
// sizes are computed first, because a message's length stands before it.

#include <bit>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string_view>

namespace obs::trace::wire {

enum class Type : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

constexpr std::uint64_t Tag(int field, Type type) {
  return static_cast<std::uint64_t>(field) << 3 | static_cast<std::uint64_t>(type);
}

constexpr std::size_t VarintSize(std::uint64_t value) {
  return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
}

constexpr std::size_t HeadSize(int field, std::size_t size) {
  return VarintSize(Tag(field, Type::kBytes)) + VarintSize(size);
}

constexpr std::size_t BytesSize(int field, std::size_t size) { return HeadSize(field, size) + size; }

constexpr std::size_t IntegerSize(int field, std::uint64_t value) {
  return VarintSize(Tag(field, Type::kVarint)) + VarintSize(value);
}

template <std::unsigned_integral Value>
constexpr std::size_t FixedSize(int field, Value value) {
  return VarintSize(Tag(field, Type::kFixed64)) + sizeof(value);
}

inline char* PutVarint(char* to, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) {
    *to++ = static_cast<char>(value | 0x80);
  }
  *to++ = static_cast<char>(value);
  return to;
}

/// The head of a field of `size` bytes, which must follow.
inline char* PutHead(char* to, int field, std::size_t size) {
  return PutVarint(PutVarint(to, Tag(field, Type::kBytes)), size);
}

inline char* PutRaw(char* to, std::string_view bytes) { return to + bytes.copy(to, bytes.size()); }

inline char* PutBytes(char* to, int field, std::string_view bytes) {
  return PutRaw(PutHead(to, field, bytes.size()), bytes);
}

inline char* PutInteger(char* to, int field, std::uint64_t value) {
  return PutVarint(PutVarint(to, Tag(field, Type::kVarint)), value);
}

template <std::unsigned_integral Value>
char* PutFixed(char* to, int field, Value value) {
  to = PutVarint(to, Tag(field, sizeof(value) == 8 ? Type::kFixed64 : Type::kFixed32));
  for (std::size_t i = 0; i < sizeof(value); ++i) {
    *to++ = static_cast<char>(value >> (8 * i));
  }
  return to;
}

/// One field of a message: a varint or fixed number, or bytes.
struct Field {
  std::uint64_t number = 0;
  std::uint64_t integer = 0;
  std::string_view bytes{};
};

/// Takes the next field off `message`. Nothing at the end, and where no field begins; bytes that are cut off
/// are taken as far as they go.
std::optional<Field> TakeField(std::string_view& message);

}  // namespace obs::trace::wire
