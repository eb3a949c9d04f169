#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/eventually.h"
#include "support/json.h"
#include "support/socket.h"

namespace support {

using Environment = std::map<std::string, std::string>;

/// A child process whose output is kept. It gets exactly the environment given, beside PATH and the options
/// of sanitizers; it is killed when this object or the test ends. Start it from the test's main thread.
class Process {
 public:
  /// Throws std::system_error when `command[0]` cannot be run.
  Process(const std::vector<std::string>& command, const Environment& environment);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int signal) const;
  /// The exit status, or 128 + the signal that ended it; nothing when it still runs after `limit`.
  std::optional<int> Wait(std::chrono::milliseconds limit = kPatience);
  bool running() { return !Wait(std::chrono::milliseconds(0)); }

  /// Complete lines of standard output so far.
  std::vector<std::string> Lines() const;
  /// Standard error so far.
  std::string Errors() const;
  /// The lines of standard output as JSON; a line that is none is null.
  std::vector<Json> Logs() const;
  /// The first log line, past or future, that satisfies `wanted`; null when none came in time.
  Json WaitForLog(const std::function<bool(const Json&)>& wanted,
                  std::chrono::milliseconds limit = kPatience) const;
  Json WaitForLog(const std::string& message, std::chrono::milliseconds limit = kPatience) const;

  /// From now on nobody reads standard output: the pipe fills up.
  void StopReading();
  /// Closes the reading end of standard output: the child's writes fail with EPIPE.
  void CloseOutput();

  std::size_t resident_bytes() const;

 private:
  enum class Output { kRead, kIgnore, kClose, kEnd };
  void Read();
  void SetOutput(Output output);
  void Append(std::string_view bytes);

  pid_t pid_ = -1;
  std::optional<int> status_;
  Fd stdout_;
  Fd stderr_;
  Fd wake_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  Output output_ = Output::kRead;
  std::vector<std::string> lines_;
  std::string partial_;
  std::string errors_;
  std::thread reader_;
};

}  // namespace support
