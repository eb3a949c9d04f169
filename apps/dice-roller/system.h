#pragma once

#include "roller.h"

namespace dice_roller {

/// A generator for each thread, seeded by the operating system.
class SystemRandom : public Random {
 public:
  double Uniform() override;
};

}  // namespace dice_roller
