#pragma once

#include <chrono>
#include <optional>
#include <string_view>
#include <vector>

#include "die.h"
#include "obs/async/task.h"
#include "obs/metrics/registry.h"
#include "obs/scope/scope.h"

namespace dice_roller {

/// A source of randomness. Thread-safe.
class Random {
 public:
  virtual ~Random() = default;
  /// Evenly distributed in [0, 1).
  virtual double Uniform() = 0;
};

/// A result, or nothing when the die's error rate struck.
using RollResult = std::optional<int>;

/// Rolls dice, and shows each roll as a span and in counters. The first hundred rolls of a request write a
/// log line each, and one more line tells of the others: who asks for a thousand rolls must not fill the log.
/// Thread-safe as far as its random is.
class Roller {
 public:
  /// `roll_time`: how long one roll takes. The references must outlive the roller.
  Roller(const obs::Telemetry& telemetry, Random& random, std::chrono::microseconds roll_time);

  /// `die` must outlive the roll, here and below.
  obs::async::Task<RollResult> Roll(const Die& die, obs::Scope& scope) const;
  /// Rolls `times` times at once: all are in the air together, so it takes about as long as one roll.
  obs::async::Task<std::vector<RollResult>> RollMany(const Die& die, int times, obs::Scope& scope) const;

 private:
  class Batch;

  obs::async::Task<RollResult> RollOne(const Die& die, int index, Batch& batch, obs::Scope& scope) const;
  /// Null when the error rate strikes.
  const Outcome* Land(const Die& die) const;

  obs::metrics::Family<obs::metrics::Counter>& rolls_;    ///< die, mode, result
  obs::metrics::Family<obs::metrics::Counter>& results_;  ///< die, face
  Random& random_;
  const std::chrono::microseconds roll_time_;
};

}  // namespace dice_roller
