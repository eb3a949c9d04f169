#pragma once

#include <functional>
#include <map>
#include <string>

#include "store.h"

namespace die_service {

/// The dice of a JSON file, read once: an object of `{"<identifier>": {"faces": […], "error_rate": …,
/// "probabilities": {"<face>": …}}}`, the last of them optional.
class FileStore : public Store {
 public:
  /// Throws std::runtime_error that names the file, the entry and the rule it breaks.
  explicit FileStore(const std::string& path);

  obs::async::Task<std::vector<std::string>> List(obs::Scope& scope) override;
  obs::async::Task<std::shared_ptr<const DieSpecification>> Find(std::string identifier,
                                                                 obs::Scope& scope) override;

  std::size_t size() const { return dice_.size(); }

 private:
  std::map<std::string, std::shared_ptr<const DieSpecification>, std::less<>> dice_;
};

}  // namespace die_service
