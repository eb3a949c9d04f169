#include "roller.h"

namespace dice_roller {
namespace {

struct RollInTheAir {
  Clock::TimePoint lands;
  std::unique_ptr<RollRecord> record;
};

}  // namespace

Roller::Roller(Random& random, Clock& clock, std::chrono::microseconds roll_time)
    : random_(random), clock_(clock), roll_time_(roll_time) {}

RollResult Roller::Roll(const Die& die, RollRecorder& recorder) const {
  return RollMany(die, 1, recorder).front();
}

std::vector<RollResult> Roller::RollMany(const Die& die, int times, RollRecorder& recorder) const {
  std::vector<RollInTheAir> in_the_air;
  in_the_air.reserve(static_cast<std::size_t>(times));
  for (int index = 0; index < times; ++index) {
    auto record = recorder.Begin(die, index);
    in_the_air.push_back({clock_.Now() + roll_time_, std::move(record)});
  }

  std::vector<RollResult> results;
  results.reserve(in_the_air.size());
  for (auto& roll : in_the_air) {
    if (roll_time_.count() > 0) clock_.SleepUntil(roll.lands);
    const RollResult result = Land(die);
    if (result) {
      roll.record->Succeeded(*result);
    } else {
      roll.record->Failed();
    }
    roll.record.reset();
    results.push_back(result);
  }
  return results;
}

RollResult Roller::Land(const Die& die) const {
  if (random_.Uniform() < die.error_rate) return std::nullopt;
  double rest = random_.Uniform();
  for (const auto& [face, probability] : die.outcomes) {
    if (rest < probability) return face;
    rest -= probability;
  }
  // Only rounding leads here. The last face that can come up at all takes what is left.
  for (auto outcome = die.outcomes.rbegin(); outcome != die.outcomes.rend(); ++outcome) {
    if (outcome->probability > 0) return outcome->face;
  }
  return std::nullopt;
}

}  // namespace dice_roller
