#include "roller.h"

#include <algorithm>
#include <string>
#include <utility>

#include "obs/async/all.h"

namespace dice_roller {

using obs::Scope;
using obs::async::Task;
using obs::metrics::Counter;

namespace {

constexpr int kMostLines = 100;

}  // namespace

/// What the rolls of one request share: its counters, each looked up once, and how many lines are left.
class Roller::Batch {
 public:
  Batch(const Roller& roller, const Die& die, std::string_view mode_)
      : mode(mode_), roller_(roller), die_(die), faces_(die.outcomes.size()) {}

  bool TakeLine() { return lines_++ < kMostLines; }
  int left_out() const { return std::max(lines_ - kMostLines, 0); }
  int failed() const { return failed_; }

  void Landed(const Outcome& outcome) {
    Count(success_, "success");
    Counter*& face = faces_[static_cast<std::size_t>(&outcome - die_.outcomes.data())];
    if (face == nullptr) face = &roller_.results_.With({die_.identifier, std::to_string(outcome.face)});
    face->Increment();
  }
  void Failed() {
    ++failed_;
    Count(error_, "error");
  }

  const std::string_view mode;

 private:
  void Count(Counter*& counter, std::string_view result) const {
    if (counter == nullptr) counter = &roller_.rolls_.With({die_.identifier, mode, result});
    counter->Increment();
  }

  const Roller& roller_;
  const Die& die_;
  Counter* success_ = nullptr;
  Counter* error_ = nullptr;
  std::vector<Counter*> faces_;  ///< by the outcome's place
  int lines_ = 0;
  int failed_ = 0;
};

Roller::Roller(const obs::Telemetry& telemetry, Random& random, std::chrono::microseconds roll_time)
    : rolls_(telemetry.registry.AddCounter("dice_rolls_total",
                                           "Rolls, by die, mode sync or async, and result success or error.",
                                           {"die", "mode", "result"})),
      results_(telemetry.registry.AddCounter("dice_roll_results_total",
                                             "How often each face of a die came up.", {"die", "face"})),
      random_(random),
      roll_time_(roll_time) {}

Task<RollResult> Roller::Roll(const Die& die, Scope& scope) const {
  Batch batch(*this, die, "sync");
  co_return co_await RollOne(die, 0, batch, scope);
}

Task<std::vector<RollResult>> Roller::RollMany(const Die& die, int times, Scope& scope) const {
  Batch batch(*this, die, "async");
  std::vector<Task<RollResult>> rolls;
  rolls.reserve(static_cast<std::size_t>(times));
  for (int index = 0; index < times; ++index) rolls.push_back(RollOne(die, index, batch, scope));
  obs::async::All<RollResult> all(std::move(rolls));
  std::vector<RollResult> results = co_await all;
  if (batch.left_out() > 0) {
    scope.Info("Further rolls completed", {{"die", die.identifier},
                                           {"rolls", batch.left_out()},
                                           {"failed_of_all", batch.failed()},
                                           {"mode", batch.mode}});
  }
  co_return results;
}

Task<RollResult> Roller::RollOne(const Die& die, int index, Batch& batch, Scope& scope) const {
  Scope roll =
      scope.Child("roll", obs::trace::Kind::kInternal, {{"die.type", die.identifier}, {"roll.index", index}});
  co_await roll.Sleep(roll_time_);
  const Outcome* outcome = Land(die);
  if (outcome == nullptr) {
    batch.Failed();
    roll.Fail("roll-failed", "The die's error rate struck.");
    if (batch.TakeLine()) {
      roll.Error("Roll failed", {{"die", die.identifier},
                                 {"index", index},
                                 {"mode", batch.mode},
                                 {"reason", "the error rate of the die struck"}});
    }
    co_return std::nullopt;
  }
  batch.Landed(*outcome);
  roll.Set({"roll.result", outcome->face});
  if (batch.TakeLine()) {
    roll.Info("Roll completed",
              {{"die", die.identifier}, {"index", index}, {"result", outcome->face}, {"mode", batch.mode}});
  }
  co_return outcome->face;
}

const Outcome* Roller::Land(const Die& die) const {
  if (random_.Uniform() < die.error_rate) return nullptr;
  double rest = random_.Uniform();
  for (const Outcome& outcome : die.outcomes) {
    if (rest < outcome.probability) return &outcome;
    rest -= outcome.probability;
  }
  // Only rounding leads here. The last face that can come up at all takes what is left.
  for (auto outcome = die.outcomes.rbegin(); outcome != die.outcomes.rend(); ++outcome) {
    if (outcome->probability > 0) return &*outcome;
  }
  return nullptr;
}

}  // namespace dice_roller
