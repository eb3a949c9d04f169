#pragma once

#include <string>
#include <vector>

namespace dice_roller {

struct Outcome {
  int face;
  double probability;
};

/// A die as this service needs it: what it can show, how likely, and how often it fails.
struct Die {
  std::string identifier;
  std::vector<Outcome> outcomes;  ///< at least one; the probabilities add up to 1
  double error_rate = 0;          ///< from 0 to 1
};

}  // namespace dice_roller
