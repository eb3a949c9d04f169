#include "system.h"

#include <random>
#include <thread>

namespace dice_roller {

double SystemRandom::Uniform() {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(generator);
}

Clock::TimePoint SystemClock::Now() { return std::chrono::steady_clock::now(); }

void SystemClock::SleepUntil(TimePoint time) { std::this_thread::sleep_until(time); }

}  // namespace dice_roller
