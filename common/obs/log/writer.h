#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace obs::log {

/// Carries lines to a file descriptor on a thread of its own, through one bounded buffer. Thread-safe.
class Writer {
 public:
  /// `fd` stays the caller's. `capacity` bounds the bytes that wait.
  explicit Writer(int fd, std::size_t capacity = std::size_t{1} << 20);
  /// Flushes for at most one second.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// Queues one line, which must end in '\n'. Never blocks on the descriptor: without room the line is
  /// dropped and counted.
  void Write(std::string_view line);

  /// Waits until everything queued before the call has been written, or the deadline has passed (false).
  bool Flush(std::chrono::milliseconds deadline);

  std::uint64_t lines_written() const;  ///< lines handed to the kernel completely
  std::uint64_t lines_dropped() const;  ///< lines lost: no room, or the reader is gone

 private:
  friend class Logger;
  /// Keeps what its loggers share for as long as the writer lives.
  void Keep(std::shared_ptr<const void> shared);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace obs::log
