#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include "obs/trace/trace_id.h"

namespace obs::trace {

/// Chooses which traces to lose when a queue is nearly full, so that those that are kept are whole. It goes
/// by the trace's id, which every process reads alike: processes under the same pressure lose the same
/// traces. Not thread-safe.
class TraceShedder {
 public:
  /// Whether this trace should be lost: the fuller the queue (`fill` from 0 to 1), the larger the share.
  bool Sheds(const TraceId& trace, double fill) const {
    return fill > kBegin &&
           static_cast<double>(EightBytes(trace, 8)) < (fill - kBegin) / (1 - kBegin) * kHighest;
  }

  /// A span of this trace was dropped: the rest of it should be, too.
  void Remember(const TraceId& trace) {
    dropped_[Place(trace)] = EightBytes(trace, 8);
    remembers_ = true;
    last_ = std::chrono::steady_clock::now();
  }

  bool Remembers(const TraceId& trace) {
    if (!remembers_) {
      return false;
    }
    if (std::chrono::steady_clock::now() - last_ > kMemory) {
      dropped_.fill(0);
      remembers_ = false;
    }
    return remembers_ && dropped_[Place(trace)] == EightBytes(trace, 8);
  }

 private:
  static constexpr double kBegin = 0.875;
  static constexpr double kHighest = 18446744073709551616.0;  // 2^64
  /// Longer than requests take; after it a client that uses one trace id for ever is heard again.
  static constexpr std::chrono::seconds kMemory{30};

  static std::size_t Place(const TraceId& trace) { return EightBytes(trace, 8) % kPlaces; }

  static constexpr std::size_t kPlaces = 1024;

  std::array<std::uint64_t, kPlaces> dropped_{};  ///< the newest of each place
  bool remembers_ = false;
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace obs::trace
