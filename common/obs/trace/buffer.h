#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace obs::trace {

/// The newest finished spans and log lines of this process, so that one request can be looked at without a
/// collector. One block of memory that never grows: the oldest entries make room. Thread-safe.
class Buffer {
 public:
  enum class Kind : std::uint8_t { kSpan, kLine };

  /// The 16 bytes of a trace's id.
  using TraceId = std::array<char, 16>;

  /// Room for what a look-up answers with, in bytes.
  static constexpr std::size_t kDefaultAnswer = std::size_t{4} << 20;

  /// `capacity` in bytes, the index and 32 bytes of each entry included.
  explicit Buffer(std::size_t capacity);

  /// What all spans say of this process: a `Resource` of OTLP as JSON.
  void SetResource(std::string json);
  /// `bytes`: a `Span` message of OTLP in protobuf's wire format, or a log line, which is JSON. An entry
  /// larger than the whole buffer is left out.
  void Add(Kind kind, const TraceId& trace, std::string_view bytes);
  /// The same, with the id as 32 hex digits. An entry with any other id is left out.
  void Add(Kind kind, std::string_view trace_id, std::string_view bytes);
  /// What is known of a trace, in the order in which it was added: OTLP's JSON for traces
  /// (opentelemetry-proto 1.x), and beside `resourceSpans` a member `logs` with the lines. "" when nothing
  /// is. If that were more than `max_bytes`, only the newest entries are there, and a member `truncated` is
  /// true. It takes as long as the trace has entries, however large the buffer is.
  std::string Find(std::string_view trace_id, std::size_t max_bytes = kDefaultAnswer) const;

 private:
  struct Entry {
    TraceId trace;
    std::uint64_t previous;  ///< position of the next older entry of the same chain
    std::uint32_t size;      ///< of the bytes that follow
    Kind kind;
  };
  struct Found {
    Kind kind;
    std::string bytes;
  };
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };

  void Put(std::uint64_t at, const void* from, std::size_t size);
  void Get(std::uint64_t at, void* to, std::size_t size) const;
  Entry EntryAt(std::uint64_t at) const;
  std::size_t ChainOf(const TraceId& trace) const;
  std::uint64_t TakeSome(const TraceId& trace, std::uint64_t at, std::vector<Found>& found) const;

  const std::uint64_t seed_;
  const std::size_t chains_;  ///< a power of two
  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::string resource_ = "{}";
  // Positions count all bytes ever added, from 1 on; modulo the capacity they are places in the memory.
  // An entry whose position is below begin_ has made room, and so have all that are older in its chain.
  const std::unique_ptr<char[], Free> memory_;
  const std::unique_ptr<std::uint64_t[], Free> newest_;  ///< of each chain; 0 for none
  std::uint64_t begin_ = 1;
  std::uint64_t end_ = 1;
};

}  // namespace obs::trace
