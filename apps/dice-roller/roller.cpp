#include "roller.h"

#include <string>
#include <utility>

#include "obs/async/all.h"

namespace dice_roller {

using obs::Scope;
using obs::async::Task;

Roller::Roller(const obs::Telemetry& telemetry, Random& random, std::chrono::microseconds roll_time)
    : rolls_(telemetry.registry.AddCounter("dice_rolls_total",
                                           "Rolls, by die, mode sync or async, and result success or error.",
                                           {"die", "mode", "result"})),
      results_(telemetry.registry.AddCounter("dice_roll_results_total",
                                             "How often each face of a die came up.", {"die", "face"})),
      random_(random),
      roll_time_(roll_time) {}

Task<RollResult> Roller::Roll(const Die& die, Scope& scope) const { return RollOne(die, 0, "sync", scope); }

Task<std::vector<RollResult>> Roller::RollMany(const Die& die, int times, Scope& scope) const {
  std::vector<Task<RollResult>> rolls;
  rolls.reserve(static_cast<std::size_t>(times));
  for (int index = 0; index < times; ++index) rolls.push_back(RollOne(die, index, "async", scope));
  obs::async::All<RollResult> all(std::move(rolls));
  co_return co_await all;
}

Task<RollResult> Roller::RollOne(const Die& die, int index, std::string_view mode, Scope& scope) const {
  Scope roll =
      scope.Child("roll", obs::trace::Kind::kInternal, {{"die.type", die.identifier}, {"roll.index", index}});
  co_await roll.Sleep(roll_time_);
  const RollResult result = Land(die);
  if (result) {
    roll.Set({"roll.result", *result});
    rolls_.With({die.identifier, mode, "success"}).Increment();
    results_.With({die.identifier, std::to_string(*result)}).Increment();
    roll.Info("Roll completed",
              {{"die", die.identifier}, {"index", index}, {"result", *result}, {"mode", mode}});
  } else {
    roll.Fail("roll-failed", "The die's error rate struck.");
    rolls_.With({die.identifier, mode, "error"}).Increment();
    roll.Error("Roll failed", {{"die", die.identifier},
                               {"index", index},
                               {"mode", mode},
                               {"reason", "the error rate of the die struck"}});
  }
  co_return result;
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
