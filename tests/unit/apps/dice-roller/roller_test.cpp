#include "roller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <sstream>

#include "obs/async/run.h"
#include "obs/log/writer.h"
#include "support/eventually.h"
#include "support/exposition.h"
#include "support/json.h"
#include "support/memory_file.h"
#include "system.h"

namespace dice_roller {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""us;
using testing::ElementsAre;
using testing::Pair;

class ScriptedRandom : public Random {
 public:
  explicit ScriptedRandom(std::deque<double> numbers) : numbers_(std::move(numbers)) {}
  double Uniform() override {
    const double number = numbers_.front();
    numbers_.pop_front();
    return number;
  }

 private:
  std::deque<double> numbers_;
};

class RollerTest : public testing::Test {
 protected:
  RollResult Roll(const Roller& roller, const Die& die) { return loop_.Run(roller.Roll(die, scope_)); }
  std::vector<RollResult> RollMany(const Roller& roller, const Die& die, int times) {
    return loop_.Run(roller.RollMany(die, times, scope_));
  }
  double Rolls(const char* mode, const char* result) {
    return support::Value(support::ParseExposition(registry_.Render(obs::metrics::Format::kText)),
                          "dice_rolls_total", {{"mode", mode}, {"result", result}});
  }

  const obs::Telemetry& none_ = obs::Telemetry::None();
  obs::metrics::Registry registry_;
  const obs::Telemetry telemetry_{none_.logger, registry_, none_.tracer, none_.propagator};
  obs::async::StandaloneLoop loop_;
  obs::Activity activity_;
  obs::Scope scope_{telemetry_, loop_.loop(), obs::trace::Span(), obs::Deadline::max(), activity_};
};

const Die kExtreme{"extreme", {{0, 1.0 / 3}, {6, 2.0 / 3}}, 0.5};

TEST_F(RollerTest, ShowsTheFaceThatTheRandomNumberFallsInto) {
  // For each roll: does the error rate strike, and which face.
  ScriptedRandom random({0.5, 0.0, 0.9, 0.33, 0.9, 0.34, 0.9, 0.999});
  const Roller roller(telemetry_, random, 0us);
  EXPECT_THAT(RollMany(roller, kExtreme, 4), ElementsAre(0, 0, 6, 6));
}

TEST_F(RollerTest, FailsWhenTheErrorRateStrikes) {
  ScriptedRandom random({0.49, 0.51, 0.1});
  const Roller roller(telemetry_, random, 0us);
  EXPECT_EQ(Roll(roller, kExtreme), std::nullopt);
  EXPECT_EQ(Roll(roller, kExtreme), 0);
  EXPECT_EQ(Rolls("sync", "error"), 1);
  EXPECT_EQ(Rolls("sync", "success"), 1);
}

TEST_F(RollerTest, NeverShowsAFaceThatCannotComeUp) {
  const Die loaded{"loaded", {{1, 0.0}, {2, 1.0 - 1e-9}, {3, 0.0}}, 0};
  ScriptedRandom random({0.0, 0.0, 0.0, 0.9999999999});
  const Roller roller(telemetry_, random, 0us);
  EXPECT_THAT(RollMany(roller, loaded, 2), ElementsAre(2, 2));
}

TEST_F(RollerTest, KeepsTheOrderOfRollsAndCountsThem) {
  ScriptedRandom random({0.9, 0.1, 0.1, 0.9, 0.9});
  const Roller roller(telemetry_, random, 5ms);
  EXPECT_THAT(RollMany(roller, kExtreme, 3), ElementsAre(0, std::nullopt, 6));
  EXPECT_EQ(Rolls("async", "success"), 2);
  EXPECT_EQ(Rolls("async", "error"), 1);
}

TEST_F(RollerTest, HasAllRollsInTheAirTogether) {
  SystemRandom random;
  const Roller roller(telemetry_, random, 50ms);
  const support::Stopwatch stopwatch;
  EXPECT_EQ(RollMany(roller, kExtreme, 1000).size(), 1000u);
  EXPECT_GE(stopwatch.elapsed(), 50ms);
  EXPECT_LT(stopwatch.elapsed(), 50ms * 1000 / 10);  // one after the other would take 50 s
}

TEST_F(RollerTest, WritesALineForEachOfAHundredRollsAndOneForTheOthers) {
  const support::MemoryFile file;
  obs::log::Writer writer(file.fd());
  const obs::log::Logger logger(writer, "dice-roller", obs::log::Level::kInfo);
  const obs::Telemetry logging{logger, registry_, none_.tracer, none_.propagator};
  obs::Scope scope(logging, loop_.loop(), obs::trace::Span(), obs::Deadline::max(), activity_);
  SystemRandom random;
  const Roller roller(logging, random, 0us);
  const auto messages = [&](const Die& die, int times) {
    const std::size_t before = file.Text().size();
    loop_.Run(roller.RollMany(die, times, scope));
    EXPECT_TRUE(writer.Flush(support::kPatience));
    std::map<std::string, int> counts;
    std::istringstream lines(file.Text().substr(before));
    for (std::string line; std::getline(lines, line);) ++counts[support::Json::Parse(line)["message"].Text()];
    return counts;
  };
  const Die sound{"sound", {{1, 1.0}}, 0};
  const Die broken{"broken", {{1, 1.0}}, 1};
  EXPECT_THAT(messages(sound, 100), ElementsAre(Pair("Roll completed", 100)));
  EXPECT_THAT(messages(sound, 1000),
              ElementsAre(Pair("Further rolls completed", 1), Pair("Roll completed", 100)));
  EXPECT_THAT(messages(broken, 1000),
              ElementsAre(Pair("Further rolls completed", 1), Pair("Roll failed", 100)));
}

TEST_F(RollerTest, FollowsTheProbabilitiesOverManyRolls) {
  SystemRandom random;
  const Roller roller(telemetry_, random, 0us);
  const Die die{"extreme", kExtreme.outcomes, 0.1};
  constexpr int kRounds = 60;
  constexpr int kTimes = 1000;
  std::map<int, int> seen;
  int failures = 0;
  for (int round = 0; round < kRounds; ++round) {
    for (const auto& result : RollMany(roller, die, kTimes)) {
      if (result) {
        ++seen[*result];
      } else {
        ++failures;
      }
    }
  }
  // Eight standard deviations: wrong once in more runs than there will ever be.
  EXPECT_NEAR(failures, kRounds * kTimes * 0.1, 8 * 74);
  EXPECT_NEAR(seen[0], kRounds * kTimes * 0.9 / 3, 8 * 113);
}

}  // namespace
}  // namespace dice_roller
