#pragma once

#include <memory>
#include <string>
#include <vector>

#include "die_specification.h"
#include "obs/async/task.h"
#include "obs/scope/scope.h"

namespace die_service {

/// Where the dice are. Thread-safe; it must outlive every task that it has given.
class Store {
 public:
  virtual ~Store() = default;

  /// Identifiers in alphabetical order. Throws obs::Error kUnavailable when the store cannot be asked.
  /// `scope` must outlive the task.
  virtual obs::async::Task<std::vector<std::string>> List(obs::Scope& scope) = 0;
  /// Nothing when there is no such die. Throws as List().
  virtual obs::async::Task<std::shared_ptr<const DieSpecification>> Find(std::string identifier,
                                                                         obs::Scope& scope) = 0;
};

}  // namespace die_service
