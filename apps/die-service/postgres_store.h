#pragma once

#include <memory>
#include <string>
#include <vector>

#include "obs/postgres/pool.h"
#include "store.h"

namespace die_service {

/// The dice of the view `dice` (see migrations/).
class PostgresStore : public Store {
 public:
  /// What the pool should run to see whether the view can be read, and how many dice it has.
  static constexpr const char* kCheck = "SELECT count(*) FROM dice";

  /// `pool` must outlive the store.
  explicit PostgresStore(obs::postgres::Pool& pool) : pool_(pool) {}

  obs::async::Task<std::vector<std::string>> List(obs::Scope& scope) override;
  obs::async::Task<std::shared_ptr<const DieSpecification>> Find(std::string identifier,
                                                                 obs::Scope& scope) override;

 private:
  obs::postgres::Pool& pool_;
};

}  // namespace die_service
