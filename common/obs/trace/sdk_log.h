#pragma once

#include "obs/log/logger.h"

namespace obs::trace {

/// Sends the SDK's own messages to a logger for as long as it lives; without one they go nowhere. Never to
/// stderr. A message that repeats (an absent collector fails every batch) is written at most once in 30 s,
/// with the number of those left out. Thread-safe.
class SdkLog {
 public:
  SdkLog(const log::Logger& logger, log::Level minimum);
  ~SdkLog();
  SdkLog(const SdkLog&) = delete;
  SdkLog& operator=(const SdkLog&) = delete;
};

}  // namespace obs::trace
