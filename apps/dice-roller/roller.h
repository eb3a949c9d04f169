#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "die.h"

namespace dice_roller {

/// A source of randomness. Thread-safe.
class Random {
 public:
  virtual ~Random() = default;
  /// Evenly distributed in [0, 1).
  virtual double Uniform() = 0;
};

/// Thread-safe.
class Clock {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  virtual ~Clock() = default;
  virtual TimePoint Now() = 0;
  virtual void SleepUntil(TimePoint time) = 0;
};

/// What the world learns of one roll while it happens.
class RollRecord {
 public:
  virtual ~RollRecord() = default;  ///< the roll is over
  virtual void Succeeded(int result) = 0;
  virtual void Failed() = 0;
};

class RollRecorder {
 public:
  virtual ~RollRecorder() = default;
  virtual std::unique_ptr<RollRecord> Begin(const Die& die, int index) = 0;
};

/// A result, or nothing when the die's error rate struck.
using RollResult = std::optional<int>;

/// Rolls dice. Thread-safe as far as its random and clock are.
class Roller {
 public:
  /// `roll_time`: how long one roll takes. The references must outlive the roller.
  Roller(Random& random, Clock& clock, std::chrono::microseconds roll_time);

  RollResult Roll(const Die& die, RollRecorder& recorder) const;
  /// Rolls `times` times at once: all are in the air together, so it takes about as long as one roll. They
  /// share the caller's thread, because a roll is nothing but waiting.
  std::vector<RollResult> RollMany(const Die& die, int times, RollRecorder& recorder) const;

 private:
  RollResult Land(const Die& die) const;

  Random& random_;
  Clock& clock_;
  const std::chrono::microseconds roll_time_;
};

}  // namespace dice_roller
