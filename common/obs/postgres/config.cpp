#include "obs/config/config.h"

#include <algorithm>
#include <chrono>
#include <string_view>

#include "obs/postgres/pool.h"

namespace obs::postgres {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""min;

/// Whether a comma-separated list has this very item.
bool Lists(std::string_view list, std::string_view item) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view entry = list.substr(0, comma);
    while (entry.starts_with(' ')) entry.remove_prefix(1);
    while (entry.ends_with(' ')) entry.remove_suffix(1);
    if (entry == item) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

std::chrono::milliseconds Milliseconds(config::Parser& parser, std::string_view name,
                                       std::chrono::milliseconds fallback, std::string_view help) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      parser.Duration(name, fallback, 1ms, 10min, help));
}

}  // namespace

Config ReadConfig(config::Parser& parser, bool required) {
  const auto text = [&](std::string_view name, std::string_view help) {
    return required ? parser.Required(name, help) : parser.String(name, "", help);
  };
  Config config;
  config.host = text("PGHOST", "host of PostgreSQL, or the folder of its socket");
  config.port = parser.Port("PGPORT", config.port, "port of PostgreSQL");
  config.database = text("PGDATABASE", "database");
  config.user = text("PGUSER", "role, which needs SELECT alone");
  parser.Document("PGPASSWORD", "", "password of PGUSER, read by libpq");
  parser.Document("PGPASSFILE", "", "file with the password of PGUSER, read by libpq");
  parser.Document("PGSSLMODE", "prefer", "whether to use TLS, read by libpq");
  config.gss_encryption = parser.Choice("PGGSSENCMODE", config.gss_encryption,
                                        {"disable", "prefer", "require"}, "whether to encrypt by Kerberos");
  config.pool_size = static_cast<std::size_t>(parser.Integer("DATABASE_POOL_SIZE",
                                                             static_cast<std::int64_t>(config.pool_size), 1,
                                                             100, "connections that are kept open"));
  config.max_waiting = static_cast<std::size_t>(
      parser.Integer("DATABASE_POOL_QUEUE", static_cast<std::int64_t>(config.max_waiting), 1, 1'000'000,
                     "queries that may wait for a connection; more fail at once"));
  config.acquire_timeout = Milliseconds(parser, "DATABASE_POOL_TIMEOUT", config.acquire_timeout,
                                        "how long a request waits for a connection");
  config.statement_timeout = Milliseconds(parser, "DATABASE_STATEMENT_TIMEOUT", config.statement_timeout,
                                          "how long a statement may run");
  // libpq counts whole seconds.
  config.connect_timeout = std::chrono::ceil<std::chrono::seconds>(
      parser.Duration("DATABASE_CONNECT_TIMEOUT", config.connect_timeout, 1s, 1min,
                      "how long to wait for a new connection, in whole seconds"));
  config.check_interval = Milliseconds(parser, "DATABASE_CHECK_INTERVAL", config.check_interval,
                                       "how often readiness is checked on an idle connection");
  config.old_attributes =
      !Lists(parser.String("OTEL_SEMCONV_STABILITY_OPT_IN", "",
                           "with `database`, spans carry the stable attributes of databases alone"),
             "database");
  return config;
}

}  // namespace obs::postgres
