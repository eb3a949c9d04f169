#pragma once

#include <string>

#include "obs/http/server.h"
#include "observer.h"

namespace frontend {

/// Where the page's links lead; each may be empty. `{trace_id}` stands for the id.
struct Links {
  std::string dashboard{};
  std::string trace{};
  std::string logs{};
};

/// Registers what the page asks for beside what everybody may: `/page/settings`, `/page/metrics` and
/// `/page/traces/{trace_id}`. They leave no spans and no lines, because the page asks them again and again.
/// `observer` must outlive the server.
void AddPageRoutes(obs::http::Server& server, Observer& observer, const Links& links);

}  // namespace frontend
