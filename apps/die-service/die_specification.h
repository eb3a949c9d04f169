#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace die_service {

/// What a die is. Immutable once made, so safe to share between threads.
struct DieSpecification {
  std::string identifier;
  std::vector<int> faces;               ///< one for each side; repeats allowed
  double error_rate = 0;                ///< the share of rolls that fail, from 0 to 1
  std::map<int, double> probabilities;  ///< of each distinct face; their sum is 1
};

/// Whether `text` may name a die: 1 to 50 of A-Z a-z 0-9 _ -.
bool IsIdentifier(std::string_view text);

/// Every side equally likely, so a face that stands on two of six sides has a third.
std::map<int, double> EqualProbabilities(const std::vector<int>& faces);

/// Throws std::invalid_argument with the rule that is broken.
void Validate(const DieSpecification& specification);

/// The JSON answer for one die, with `name`, `sides` and `probabilities` beside what the specification says.
std::string ToJson(const DieSpecification& specification);

}  // namespace die_service
