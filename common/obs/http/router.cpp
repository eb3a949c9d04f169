#include "obs/http/router.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace obs::http {
namespace {

constexpr std::size_t kMaxQueryParameters = 64;

std::vector<std::string_view> Split(std::string_view path) {
  std::vector<std::string_view> segments;
  path.remove_prefix(1);
  for (;;) {
    const std::size_t slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

bool IsParameter(std::string_view segment) { return segment.starts_with('{') && segment.ends_with('}'); }

Error InvalidEncoding(std::string_view kind, std::string_view name) {
  return Error(ErrorCode::kInvalidArgument, "invalid-parameter",
               fmt::format("The {} parameter '{}' is not valid percent-encoding.", kind, name));
}

bool SameSegment(std::string_view literal, std::string_view segment) {
  if (segment.find('%') == std::string_view::npos) return literal == segment;
  return PercentDecode(segment, false) == literal;
}

bool Accepts(const Route& route, Method method) {
  return route.method == method || (method == Method::kHead && route.method == Method::kGet);
}

bool Matches(const Route& route, const std::vector<std::string_view>& segments) {
  if (route.segments.size() != segments.size()) return false;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    // An empty segment is no value: "/dice/" is not "/dice/{die}".
    const bool same =
        IsParameter(route.segments[i]) ? !segments[i].empty() : SameSegment(route.segments[i], segments[i]);
    if (!same) return false;
  }
  return true;
}

void ReadPath(const Route& route, Request& request) {
  const auto segments = Split(request.path);
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (!IsParameter(route.segments[i])) continue;
    const auto name = std::string_view(route.segments[i]).substr(1, route.segments[i].size() - 2);
    auto value = PercentDecode(segments[i], false);
    if (!value) throw InvalidEncoding("path", name);
    request.path_parameters.emplace_back(name, std::move(*value));
  }
}

void ReadQuery(Request& request) {
  std::string_view rest = request.query;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (pair.empty()) continue;
    if (request.query_parameters.size() == kMaxQueryParameters) {
      throw Error(ErrorCode::kInvalidArgument, "malformed-request",
                  fmt::format("More than {} query parameters.", kMaxQueryParameters));
    }
    const std::size_t equals = std::min(pair.find('='), pair.size());
    auto name = PercentDecode(pair.substr(0, equals), true);
    if (!name) {
      throw Error(ErrorCode::kInvalidArgument, "malformed-request",
                  "The name of a query parameter is not valid percent-encoding.");
    }
    auto value = PercentDecode(pair.substr(std::min(equals + 1, pair.size())), true);
    if (!value) throw InvalidEncoding("query", *name);
    request.query_parameters.emplace_back(std::move(*name), std::move(*value));
  }
}

}  // namespace

Route& Router::Add(Route route) {
  if (!route.route.starts_with('/')) throw std::invalid_argument("a route begins with '/': " + route.route);
  const bool known = std::any_of(routes_.begin(), routes_.end(), [&route](const auto& other) {
    return other->method == route.method && other->route == route.route;
  });
  if (known) throw std::invalid_argument("the route is registered already: " + route.name);
  for (const std::string_view segment : Split(route.route)) route.segments.emplace_back(segment);
  routes_.push_back(std::make_unique<Route>(std::move(route)));
  return *routes_.back();
}

const Route& Router::Match(const Request& request) const {
  const auto segments = Split(request.path);
  bool path_known = false;
  for (const auto& route : routes_) {
    if (!Matches(*route, segments)) continue;
    if (Accepts(*route, request.method)) return *route;
    path_known = true;
  }
  if (path_known) {
    throw Error(ErrorCode::kMethodNotAllowed, "method-not-allowed",
                fmt::format("{} is not allowed here; Allow says what is.", Name(request.method)));
  }
  if (!PercentDecode(request.path, false)) {
    throw Error(ErrorCode::kInvalidArgument, "malformed-request", "The path is not valid percent-encoding.");
  }
  throw Error(ErrorCode::kNotFound, "not-found", "There is nothing at this path.");
}

std::string Router::Allow(std::string_view path) const {
  const auto segments = Split(path);
  std::string allow;
  const auto append = [&allow](std::string_view method) {
    if (!allow.empty()) allow += ", ";
    allow += method;
  };
  for (const auto& route : routes_) {
    if (!Matches(*route, segments)) continue;
    append(Name(route->method));
    if (route->method == Method::kGet) append(Name(Method::kHead));
  }
  return allow;
}

void ReadParameters(const Route& route, Request& request) {
  ReadPath(route, request);
  ReadQuery(request);
}

}  // namespace obs::http
