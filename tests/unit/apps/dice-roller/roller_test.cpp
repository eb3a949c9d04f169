#include "roller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "system.h"

namespace dice_roller {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""us;
using testing::ElementsAre;

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

/// Time passes only when somebody sleeps.
class ManualClock : public Clock {
 public:
  TimePoint Now() override { return now_; }
  void SleepUntil(TimePoint time) override { now_ = std::max(now_, time); }

 private:
  TimePoint now_{};
};

class ListRecorder : public RollRecorder {
 public:
  explicit ListRecorder(Clock& clock) : clock_(clock), start_(clock.Now()) {}

  std::unique_ptr<RollRecord> Begin(const Die& die, int index) override {
    return std::make_unique<Record>(*this, die.identifier + std::to_string(index));
  }

  std::vector<std::string> events;

 private:
  class Record : public RollRecord {
   public:
    Record(ListRecorder& list, std::string name) : list_(list), name_(std::move(name)) {
      list_.Add(name_ + " begins");
    }
    ~Record() override { list_.Add(name_ + " ends"); }
    void Succeeded(int result) override { list_.Add(name_ + " shows " + std::to_string(result)); }
    void Failed() override { list_.Add(name_ + " fails"); }

   private:
    ListRecorder& list_;
    std::string name_;
  };
  void Add(const std::string& what) {
    const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.Now() - start_).count();
    events.push_back(std::to_string(passed) + " " + what);
  }

  Clock& clock_;
  Clock::TimePoint start_;
};

class NoRecorder : public RollRecorder {
 public:
  std::unique_ptr<RollRecord> Begin(const Die& /*die*/, int /*index*/) override {
    return std::make_unique<None>();
  }

 private:
  class None : public RollRecord {
    void Succeeded(int /*result*/) override {}
    void Failed() override {}
  };
};

const Die kExtreme{"extreme", {{0, 1.0 / 3}, {6, 2.0 / 3}}, 0.5};

TEST(Roller, ShowsTheFaceThatTheRandomNumberFallsInto) {
  ManualClock clock;
  NoRecorder recorder;
  // For each roll: does the error rate strike, and which face.
  ScriptedRandom random({0.5, 0.0, 0.9, 0.33, 0.9, 0.34, 0.9, 0.999});
  const Roller roller(random, clock, 0us);
  EXPECT_THAT(roller.RollMany(kExtreme, 4, recorder), ElementsAre(0, 0, 6, 6));
}

TEST(Roller, FailsWhenTheErrorRateStrikes) {
  ManualClock clock;
  NoRecorder recorder;
  ScriptedRandom random({0.49, 0.51, 0.1});
  const Roller roller(random, clock, 0us);
  EXPECT_EQ(roller.Roll(kExtreme, recorder), std::nullopt);
  EXPECT_EQ(roller.Roll(kExtreme, recorder), 0);
}

TEST(Roller, NeverShowsAFaceThatCannotComeUp) {
  ManualClock clock;
  NoRecorder recorder;
  const Die loaded{"loaded", {{1, 0.0}, {2, 1.0 - 1e-9}, {3, 0.0}}, 0};
  ScriptedRandom random({0.0, 0.0, 0.0, 0.9999999999});
  const Roller roller(random, clock, 0us);
  EXPECT_THAT(roller.RollMany(loaded, 2, recorder), ElementsAre(2, 2));
}

TEST(Roller, HasAllRollsInTheAirTogether) {
  ManualClock clock;
  ListRecorder recorder(clock);
  ScriptedRandom random({0.9, 0.1, 0.1, 0.9, 0.9});
  const Roller roller(random, clock, 5ms);
  EXPECT_THAT(roller.RollMany(kExtreme, 3, recorder), ElementsAre(0, std::nullopt, 6));
  EXPECT_THAT(recorder.events, ElementsAre("0 extreme0 begins", "0 extreme1 begins", "0 extreme2 begins",
                                           "5 extreme0 shows 0", "5 extreme0 ends", "5 extreme1 fails",
                                           "5 extreme1 ends", "5 extreme2 shows 6", "5 extreme2 ends"));
}

TEST(Roller, FollowsTheProbabilitiesOverManyRolls) {
  SystemRandom random;
  ManualClock clock;
  NoRecorder recorder;
  const Roller roller(random, clock, 0us);
  const Die die{"extreme", kExtreme.outcomes, 0.1};
  constexpr int kTimes = 60000;
  std::map<int, int> seen;
  int failures = 0;
  for (const auto& result : roller.RollMany(die, kTimes, recorder)) {
    if (result) {
      ++seen[*result];
    } else {
      ++failures;
    }
  }
  // Eight standard deviations: wrong once in more runs than there will ever be.
  EXPECT_NEAR(failures, kTimes * 0.1, 8 * 74);
  EXPECT_NEAR(seen[0], kTimes * 0.9 / 3, 8 * 113);
}

}  // namespace
}  // namespace dice_roller
