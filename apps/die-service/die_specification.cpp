#include "die_specification.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <stdexcept>

namespace die_service {
namespace {

constexpr std::size_t kMaxIdentifier = 50;
constexpr std::size_t kMaxFaces = 1000;
constexpr double kTolerance = 1e-6;

bool IsIdentifierCharacter(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

void ValidateProbabilities(const DieSpecification& specification) {
  const std::set<int> distinct(specification.faces.begin(), specification.faces.end());
  double sum = 0;
  for (const auto& [face, probability] : specification.probabilities) {
    if (distinct.count(face) == 0) throw std::invalid_argument("probabilities must name only its faces");
    if (!(probability >= 0 && probability <= 1)) {
      throw std::invalid_argument("probabilities must be numbers from 0 to 1");
    }
    sum += probability;
  }
  if (specification.probabilities.size() != distinct.size()) {
    throw std::invalid_argument("probabilities must name every distinct face");
  }
  if (std::abs(sum - 1) > kTolerance) throw std::invalid_argument("probabilities must add up to 1");
}

}  // namespace

bool IsIdentifier(std::string_view text) {
  return !text.empty() && text.size() <= kMaxIdentifier &&
         std::all_of(text.begin(), text.end(), IsIdentifierCharacter);
}

std::map<int, double> EqualProbabilities(const std::vector<int>& faces) {
  std::map<int, int> sides;
  for (const int face : faces) ++sides[face];
  std::map<int, double> probabilities;
  for (const auto& [face, count] : sides) {
    probabilities[face] = static_cast<double>(count) / static_cast<double>(faces.size());
  }
  return probabilities;
}

void Validate(const DieSpecification& specification) {
  if (!IsIdentifier(specification.identifier)) {
    throw std::invalid_argument("its name must match [A-Za-z0-9_-]{1,50}");
  }
  if (specification.faces.empty() || specification.faces.size() > kMaxFaces) {
    throw std::invalid_argument("faces must be an array of 1 to 1000 integers");
  }
  if (!(specification.error_rate >= 0 && specification.error_rate <= 1)) {
    throw std::invalid_argument("error_rate must be a number from 0 to 1");
  }
  ValidateProbabilities(specification);
}

std::string ToJson(const DieSpecification& specification) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> json(buffer);
  json.StartObject();
  json.Key("identifier");
  json.String(specification.identifier.c_str());
  json.Key("name");
  json.String(specification.identifier.c_str());
  json.Key("faces");
  json.StartArray();
  for (const int face : specification.faces) json.Int(face);
  json.EndArray();
  json.Key("error_rate");
  json.Double(specification.error_rate);
  json.Key("sides");
  json.Uint64(specification.faces.size());
  json.Key("probabilities");
  json.StartObject();
  for (const auto& [face, probability] : specification.probabilities) {
    json.Key(std::to_string(face).c_str());
    json.Double(probability);
  }
  json.EndObject();
  json.EndObject();
  return {buffer.GetString(), buffer.GetSize()};
}

}  // namespace die_service
