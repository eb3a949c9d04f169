#include "system.h"

#include <random>

namespace dice_roller {

double SystemRandom::Uniform() {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(generator);
}

}  // namespace dice_roller
