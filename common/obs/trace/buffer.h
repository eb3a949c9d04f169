#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace obs::trace {

/// The newest finished spans and log lines of this process, so that one request can be looked at without a
/// collector. One block of memory that never grows: the oldest entries make room. Thread-safe.
class Buffer {
 public:
  enum class Kind : std::uint8_t { kSpan, kLine };

  /// `capacity` in bytes, each entry's own 40 included.
  explicit Buffer(std::size_t capacity);

  /// What all spans say of this process: a `Resource` of OTLP as JSON.
  void SetResource(std::string json);
  /// `json`: a `Span` of OTLP, or a log line. An entry larger than the whole buffer is left out.
  void Add(Kind kind, std::string_view trace_id, std::string_view json);
  /// What is known of a trace, in the order in which it was added: OTLP's JSON for traces
  /// (opentelemetry-proto 1.x), and beside `resourceSpans` a member `logs` with the lines. "" when nothing
  /// is.
  std::string Find(std::string_view trace_id) const;

 private:
  using TraceId = std::array<char, 32>;
  struct Entry {
    TraceId trace_id;
    std::uint32_t size;  ///< of the JSON that follows
    Kind kind;
  };

  void Put(std::uint64_t at, const void* from, std::size_t size);
  void Get(std::uint64_t at, void* to, std::size_t size) const;
  Entry EntryAt(std::uint64_t at) const;

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::string resource_ = "{}";
  // Positions count all bytes ever added; modulo the capacity they are places in the memory.
  const std::unique_ptr<char[]> memory_;
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
};

}  // namespace obs::trace
