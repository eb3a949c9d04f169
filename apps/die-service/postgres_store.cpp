#include "postgres_store.h"

#include <rapidjson/document.h>

#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace die_service {
namespace {

const obs::postgres::Statement kList{
    .name = "list_dice",
    .sql = "SELECT name FROM dice ORDER BY name",
    .query_type = "list",
    .operation = "SELECT",
    .collection = "dice",
};

const obs::postgres::Statement kGet{
    .name = "get_die",
    .sql = "SELECT name, to_json(faces), error_rate, probabilities FROM dice WHERE name = $1",
    .query_type = "get",
    .operation = "SELECT",
    .collection = "dice",
    .empty_is_not_found = true,
};

DieSpecification ParseRow(const obs::postgres::Row& row) {
  DieSpecification specification;
  specification.identifier = row.at(0).value();
  rapidjson::Document faces;
  faces.Parse(row.at(1).value().c_str());
  rapidjson::Document probabilities;
  probabilities.Parse(row.at(3).value().c_str());
  if (!faces.IsArray() || !probabilities.IsObject()) throw std::invalid_argument("it is no die");
  for (const auto& face : faces.GetArray()) specification.faces.push_back(face.IsInt() ? face.GetInt() : 0);
  specification.error_rate = std::strtod(row.at(2).value().c_str(), nullptr);
  for (const auto& member : probabilities.GetObject()) {
    if (!member.value.IsNumber()) throw std::invalid_argument("probabilities must be numbers from 0 to 1");
    specification.probabilities[std::atoi(member.name.GetString())] = member.value.GetDouble();
  }
  Validate(specification);
  return specification;
}

}  // namespace

obs::async::Task<std::vector<std::string>> PostgresStore::List(obs::Scope& scope) {
  obs::postgres::Rows rows = co_await pool_.Query(kList, std::vector<std::string>(), scope);
  std::vector<std::string> identifiers;
  identifiers.reserve(rows.size());
  for (auto& row : rows) identifiers.push_back(std::move(row.at(0).value()));
  co_return identifiers;
}

obs::async::Task<std::shared_ptr<const DieSpecification>> PostgresStore::Find(std::string identifier,
                                                                              obs::Scope& scope) {
  std::vector<std::string> parameters;
  parameters.push_back(std::move(identifier));
  const auto rows = co_await pool_.Query(kGet, std::move(parameters), scope);
  if (rows.empty()) co_return nullptr;
  try {
    co_return std::make_shared<const DieSpecification>(ParseRow(rows.front()));
  } catch (const std::exception& broken) {
    // The schema's checks should not let it come to this.
    throw obs::Error(obs::ErrorCode::kInternal, "die-invalid",
                     "The die's specification in the database is broken.", broken.what());
  }
}

}  // namespace die_service
