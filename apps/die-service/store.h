#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "die_specification.h"
#include "obs/log/logger.h"
#include "obs/trace/tracer.h"

namespace die_service {

/// On whose behalf a store is asked: the parent of its spans, and the logger that speaks for it.
struct Caller {
  const obs::trace::Context& span;
  const obs::log::Logger& logger;
};

/// Where the dice are. Thread-safe.
class Store {
 public:
  virtual ~Store() = default;

  /// Identifiers in alphabetical order. Throws obs::Error kUnavailable when the store cannot be asked.
  virtual std::vector<std::string> List(const Caller& caller) = 0;
  /// Nothing when there is no such die. Throws as List().
  virtual std::shared_ptr<const DieSpecification> Find(std::string_view identifier, const Caller& caller) = 0;
};

}  // namespace die_service
