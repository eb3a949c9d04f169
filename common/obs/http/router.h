#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "obs/error/error.h"
#include "obs/http/message.h"
#include "obs/http/server.h"

namespace obs::http {

struct Route {
  Method method = Method::kGet;
  std::string route;  ///< the template: "/dice/{die}"
  std::string name;   ///< of the server span: "GET /dice/{die}"
  Visibility visibility = Visibility::kFull;
  Handler handler;
  std::vector<std::string> segments;  ///< of the template; a parameter as "{die}". Set by Router::Add().
  /// References kept because a look-up by labels costs more than all the counting.
  metrics::Counter* ok_requests = nullptr;
  metrics::Histogram* duration = nullptr;
};

/// Finds the route of a request. Not changed after the server has
/// started, so look-ups need no lock.
class Router {
 public:
  /// Throws std::invalid_argument for a template that is malformed or registered already.
  Route& Add(Route route);

  /// Throws Error: kNotFound, kMethodNotAllowed, or kInvalidArgument when the path is malformed.
  const Route& Match(const Request& request) const;
  /// The value of the Allow header for a path, "" when no route has it.
  std::string Allow(std::string_view path) const;

 private:
  std::vector<std::unique_ptr<Route>> routes_;
};

/// Fills in the decoded parameters of a request that `route` matches. Throws Error kInvalidArgument naming
/// the parameter that is malformed.
void ReadParameters(const Route& route, Request& request);

}  // namespace obs::http
