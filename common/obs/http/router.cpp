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

}  // namespace

Route& Router::Add(Route route) {
  if (!route.route.starts_with('/')) throw std::invalid_argument("a route begins with '/': " + route.route);
  const bool known = std::any_of(entries_.begin(), entries_.end(), [&route](const auto& entry) {
    return entry->route.method == route.method && entry->route.route == route.route;
  });
  if (known) throw std::invalid_argument("the route is registered already: " + route.name);
  auto entry = std::make_unique<Entry>();
  for (const std::string_view segment : Split(route.route)) entry->segments.emplace_back(segment);
  entry->route = std::move(route);
  entries_.push_back(std::move(entry));
  return entries_.back()->route;
}

bool Router::MatchPath(const Entry& entry, const std::vector<std::string_view>& segments,
                       Parameters* parameters) {
  if (entry.segments.size() != segments.size()) return false;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    // An empty segment is no value: "/dice/" is not "/dice/{die}".
    const bool same =
        IsParameter(entry.segments[i]) ? !segments[i].empty() : SameSegment(entry.segments[i], segments[i]);
    if (!same) return false;
  }
  if (parameters == nullptr) return true;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (!IsParameter(entry.segments[i])) continue;
    const auto name = std::string_view(entry.segments[i]).substr(1, entry.segments[i].size() - 2);
    auto value = PercentDecode(segments[i], false);
    if (!value) throw InvalidEncoding("path", name);
    parameters->emplace_back(name, std::move(*value));
  }
  return true;
}

const Route& Router::Match(Request& request) const {
  const auto segments = Split(request.path);
  bool path_known = false;
  for (const auto& entry : entries_) {
    if (!Accepts(entry->route, request.method)) {
      path_known = path_known || MatchPath(*entry, segments, nullptr);
      continue;
    }
    if (!MatchPath(*entry, segments, &request.path_parameters)) continue;
    ParseQuery(request);
    return entry->route;
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
  for (const auto& entry : entries_) {
    if (!MatchPath(*entry, segments, nullptr)) continue;
    append(Name(entry->route.method));
    if (entry->route.method == Method::kGet) append(Name(Method::kHead));
  }
  return allow;
}

void ParseQuery(Request& request) {
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

}  // namespace obs::http
