#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

namespace obs::log {

class Writer;

enum class Level : std::uint8_t { kDebug, kInfo, kWarn, kError };

/// DEBUG, INFO, WARN or ERROR.
std::string_view Name(Level level);

/// What ties a log line to a span: lower-case hex ids and the W3C trace flags. Default: no span, and the
/// three members are left out of the line.
struct Correlation {
  std::array<char, 32> trace_id{};
  std::array<char, 16> span_id{};
  std::uint8_t trace_flags = 0;

  bool valid() const { return trace_id[0] != '\0'; }
  std::string_view trace_id_view() const {
    return valid() ? std::string_view(trace_id.data(), trace_id.size()) : std::string_view();
  }
  std::string_view span_id_view() const {
    return valid() ? std::string_view(span_id.data(), span_id.size()) : std::string_view();
  }
};

/// One member of a log line. Strings are borrowed for the duration of the call only.
struct Field {
  /// An integer is a std::uint64_t only when it is too large for the other.
  using Value = std::variant<bool, std::int64_t, double, std::string_view, std::uint64_t>;

  template <typename T>
  Field(std::string_view key_, const T& value_) : key(key_), value(Convert(value_)) {}

  std::string_view key;
  Value value;

 private:
  template <typename T>
  static Value Convert(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      return value;
    } else if constexpr (std::is_integral_v<T>) {
      if constexpr (std::is_unsigned_v<T> && sizeof(T) >= sizeof(std::int64_t)) {
        if (value > T{std::numeric_limits<std::int64_t>::max()}) return static_cast<std::uint64_t>(value);
      }
      return static_cast<std::int64_t>(value);
    } else if constexpr (std::is_floating_point_v<T>) {
      return static_cast<double>(value);
    } else {
      return std::string_view(value);
    }
  }
};

using Fields = std::initializer_list<Field>;

/// Is shown every line that is written about a span, without its newline. Called on the thread that logs:
/// must not block, throw or log.
using LineObserver = std::function<void(const Correlation& correlation, std::string_view line)>;

/// Writes one JSON object a line: `timestamp` (RFC 3339, UTC, microseconds), `level`, `message`, `service`,
/// `trace_id`, `span_id`, `trace_flags` (two hex digits), then the fields in the order given.
///
/// A cheap handle: copy it freely. Thread-safe. A call never blocks on the reader of the log and never
/// throws: a line that the writer has no room for is dropped and counted. Bytes that are not UTF-8 become
/// U+FFFD, and a string value is cut at 4096 bytes.
class Logger {
 public:
  /// Writes nothing.
  Logger() = default;
  /// `writer` must outlive every copy, and keeps what they share, `observer` too, until its own end: make one
  /// logger and copy it. Lines below `minimum` cost one comparison.
  Logger(Writer& writer, std::string_view service, Level minimum, LineObserver observer = {});

  /// The same logger, speaking for one span.
  Logger With(const Correlation& correlation) const;

  bool enabled(Level level) const;
  void Write(Level level, std::string_view message, Fields fields = {}) const;
  void Debug(std::string_view message, Fields fields = {}) const { Write(Level::kDebug, message, fields); }
  void Info(std::string_view message, Fields fields = {}) const { Write(Level::kInfo, message, fields); }
  void Warn(std::string_view message, Fields fields = {}) const { Write(Level::kWarn, message, fields); }
  void Error(std::string_view message, Fields fields = {}) const { Write(Level::kError, message, fields); }

 private:
  struct Core;
  const Core* core_ = nullptr;  ///< the writer's, so that a copy counts no references
  Correlation correlation_;
};

}  // namespace obs::log
