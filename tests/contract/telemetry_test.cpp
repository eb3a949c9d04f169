// Holds what the running system says about itself against telemetry.json, in both directions: nothing that it
// promises is missing, and nothing is there that it does not name.
#include <gmock/gmock.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/dice_system.h"
#include "support/paths.h"

namespace {

using namespace support;  // NOLINT(google-build-using-namespace)
using Names = std::set<std::string>;

Names ToNames(const Json& array) {
  Names names;
  for (const Json& item : array.Items()) names.insert(item.Text());
  return names;
}

/// What the services said, by service.
struct Observed {
  std::map<std::string, std::vector<MetricFamily>> metrics;
  std::map<std::string, std::vector<Json>> logs;
  std::vector<Span> spans;
};

/// Every path through the system that leaves a trace of its own kind: success, a caller's mistake, each
/// dependency down, late or broken, overload, and a stop that loses something.
class Scenario {
 public:
  Observed Run() {
    FromStartToStopOnPostgres();
    OnTheFile();
    WithEverythingHanging();
    observed_.spans = collector_.Spans();
    return std::move(observed_);
  }

 private:
  void FromStartToStopOnPostgres() {
    PostgresServer postgres;
    postgres.Migrate();
    postgres.Psql("INSERT INTO die_specifications VALUES ('broken', '{1}', 1)");
    postgres.Stop();
    DiceSystem system;
    system.UsePostgres(postgres);
    system.die_service.Set("DATABASE_CHECK_INTERVAL", "100ms");
    system.die_service.Set("DATABASE_STATEMENT_TIMEOUT", "400ms");
    system.die_service.Set("DATABASE_POOL_SIZE", "1");
    system.die_service.Set("DATABASE_POOL_TIMEOUT", "100ms");
    for (ServiceUnderTest* service : system.services()) Configure(*service);
    for (ServiceUnderTest* service : {&system.frontend, &system.dice_roller, &system.die_service})
      service->Start();
    EXPECT_FALSE(system.dice_roller.process().WaitForLog("Waiting for a dependency").IsNull());
    EXPECT_FALSE(system.die_service.process().WaitForLog("Database connection failed").IsNull());
    system.frontend.Get("/dice");
    system.frontend.Get("/roll?die=fair");
    postgres.Start();
    for (ServiceUnderTest* service : system.services()) service->AwaitReady();

    Use(system);
    SlowTheDatabase(postgres, system);
    postgres.Stop();
    EXPECT_TRUE(Becomes([&] { return system.die_service.Get("/readyz").status; }, 503));
    system.frontend.Get("/dice/fair");
    postgres.Start();
    system.die_service.AwaitReady();

    KeepAndStop(system.die_service);
    system.dice_roller.Get("/roll?die=fair");
    system.frontend.Get("/dice");
    for (ServiceUnderTest* service : {&system.frontend, &system.dice_roller}) KeepAndStop(*service);
  }

  void OnTheFile() {
    DiceSystem system;
    for (ServiceUnderTest* service : system.services()) Configure(*service);
    system.Start();
    Use(system);
    for (ServiceUnderTest* service : system.services()) KeepAndStop(*service);
  }

  /// A collector that refuses, dependencies that hang, no patience at the end.
  void WithEverythingHanging() {
    OtlpReceiver refusing(OtlpReceiver::Mode::kRefusing);
    OtlpReceiver hanging_collector(OtlpReceiver::Mode::kHanging);
    FakeServer hanging(
        [](const FakeRequest& request) { return FakeReply{.hang = request.target != "/readyz"}; });
    for (const char* name : {"dice-roller", "frontend"}) {
      for (const OtlpReceiver* lost : {&refusing, &hanging_collector}) {
        ServiceUnderTest service(name, CommonEnvironment(lost->url()));
        service.Set("LOG_LEVEL", "DEBUG");
        service.Set("DIE_SERVICE_URL", hanging.url());
        service.Set("DICE_ROLLER_URL", hanging.url());
        service.Set("ADMIN_PORT", "0");
        service.Set("DRAIN_TIMEOUT", "100ms");
        service.Set("TELEMETRY_FLUSH_TIMEOUT", "100ms");
        if (lost == &hanging_collector) {
          service.Set("OTEL_BSP_MAX_QUEUE_SIZE", "4");
          service.Set("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1");
        }
        service.StartReady();
        HttpConnection stuck(service.port());
        stuck.Request("GET", "/roll?die=fair");
        // And the scrape itself.
        EXPECT_TRUE(Becomes([&] { return service.Metric("http_requests_in_progress"); }, 2));
        if (lost == &refusing) {
          EXPECT_FALSE(service.process().WaitForLog("Spans could not be exported").IsNull());
        } else {
          EXPECT_TRUE(Eventually([&] {
            service.Get("/roll?die=");
            return service.Metric("otel_sdk_sampler_trace_unsampled_total") > 0;
          }));
          const auto line = service.process().WaitForLog(
              "Traces are left out because too many spans wait for the collector");
          EXPECT_FALSE(line.IsNull());
        }
        Keep(service);
        service.Stop();
        KeepLogs(service);
      }
    }
  }

  void Configure(ServiceUnderTest& service) const {
    service.Set("OTEL_EXPORTER_OTLP_ENDPOINT", collector_.url());
    service.Set("LOG_LEVEL", "DEBUG");
  }

  /// Every route, answered well and badly.
  static void Use(DiceSystem& system) {
    for (ServiceUnderTest* service : system.services()) {
      for (const char* target :
           {"/", "/nothing", "/dice", "/dice/fair", "/dice/unknown", "/roll?die=fair", "/roll?die=broken",
            "/roll?die=unknown", "/roll?die=", "/roll-async?die=fair&times=5"}) {
        service->Get(target, {{"User-Agent", "contract"}});
      }
      Fetch(service->port(), "HEAD", "/");
      Fetch(service->port(), "POST", "/", {{"Content-Length", "0"}});
      HttpConnection malformed(service->port());
      malformed.Send("nonsense\r\n\r\n");
      malformed.Read(5s);
      HttpConnection without_agent(service->port());
      without_agent.Send("GET / HTTP/1.0\r\n\r\n");
      without_agent.Read(5s);
    }
  }

  /// A statement that takes too long, and a pool whose only connection it holds.
  static void SlowTheDatabase(const PostgresServer& postgres, DiceSystem& system) {
    Process lock(
        {"psql", "--no-psqlrc", "--dbname", "dicedb", "--command",
         "SET application_name = 'table-lock'; BEGIN; LOCK TABLE die_specifications; SELECT pg_sleep(60)"},
        postgres.Superuser());
    EXPECT_TRUE(Becomes(
        [&] {
          return postgres.Psql(
              "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND "
              "relation = 'die_specifications'::regclass");
        },
        "1"));
    // Whoever is at the connection, a request or the pool's own check, ends by the statement's timeout.
    std::set<std::string> types;
    EXPECT_TRUE(Eventually([&] {
      types.insert(system.die_service.Get("/dice/fair").json()["type"].Text());
      return types.contains("urn:problem-type:database-timeout") &&
             types.contains("urn:problem-type:database-pool-exhausted");
    })) << testing::PrintToString(types);
    system.frontend.Get("/dice/fair");
    postgres.Psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'table-lock'");
  }

  void Keep(ServiceUnderTest& service) {
    for (const char* format : {"text/plain", "application/openmetrics-text; version=1.0.0"}) {
      for (MetricFamily& family : ParseExposition(service.Get("/metrics", {{"Accept", format}}).body)) {
        observed_.metrics[service.name()].push_back(std::move(family));
      }
    }
    KeepLogs(service);
  }
  void KeepLogs(ServiceUnderTest& service) {
    for (Json& line : service.process().Logs()) observed_.logs[service.name()].push_back(std::move(line));
  }
  void KeepAndStop(ServiceUnderTest& service) {
    Keep(service);
    EXPECT_EQ(service.Stop(), 0);
    KeepLogs(service);
  }

  OtlpReceiver collector_;
  Observed observed_;
};

Json Contract() { return Json::ParseFile(support::SourcePath("tests/contract/telemetry.json")); }

/// What was declared for a name, and what was seen of it.
struct Ledger {
  std::set<std::pair<std::string, std::string>> seen;  ///< service and name
  Names optional;                                      ///< "name: optional member"
};

std::string Join(const Names& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

Names Missing(const Names& wanted, const Names& have) {
  Names missing;
  std::set_difference(wanted.begin(), wanted.end(), have.begin(), have.end(),
                      std::inserter(missing, missing.end()));
  return missing;
}

/// Holds the members of one thing against what is always there and what may be.
void ExpectMembers(const std::string& what, const Names& have, const Names& always, const Names& optional,
                   Names& optional_seen) {
  EXPECT_EQ(Join(Missing(always, have)), "") << "not there: " << what;
  Names allowed = always;
  allowed.insert(optional.begin(), optional.end());
  EXPECT_EQ(Join(Missing(have, allowed)), "") << "not in the contract: " << what;
  for (const std::string& name : have) {
    if (optional.count(name)) optional_seen.insert(what + ": " + name);
  }
}

void ExpectEverySeen(const Json& entries, const std::string& key, const Ledger& ledger,
                     const std::function<bool(const Json&, const std::string&)>& seen) {
  for (const Json& entry : entries.Items()) {
    for (const Json& service : entry["services"].Items()) {
      EXPECT_TRUE(seen(entry, service.Text())) << service << " never emitted " << entry[key];
    }
    for (const Json& member : entry["optional"].Items()) {
      const std::string name = entry[key].Text() + ": " + member.Text();
      EXPECT_TRUE(ledger.optional.count(name)) << "never seen: " << name;
    }
  }
}

// ---- metrics

void ExpectSample(const Json& entry, const Sample& sample, bool& exemplar) {
  Names labels;
  for (const auto& [name, value] : sample.labels) {
    if (name == "le") continue;
    labels.insert(name);
    const Names values = ToNames(entry["values"][name]);
    EXPECT_TRUE(values.empty() || values.count(value)) << sample.name << " " << name << "=" << value;
  }
  EXPECT_EQ(Join(labels), Join(ToNames(entry["labels"]))) << sample.name;
  exemplar = exemplar || !sample.exemplar.empty();
}

void CheckMetrics(const Json& contract, const Observed& live) {
  const Json entries = contract["metrics"];
  std::map<std::string, Json> declared;
  for (const Json& entry : entries.Items()) declared[entry["name"].Text()] = entry;
  Ledger ledger;
  std::map<std::string, bool> exemplars;
  for (const auto& [service, families] : live.metrics) {
    for (const MetricFamily& family : families) {
      // OpenMetrics names a counter's family without its suffix.
      const bool counter = family.type == "counter" && !family.name.ends_with("_total");
      const std::string name = family.name + (counter ? "_total" : family.type == "info" ? "_info" : "");
      const Json entry = declared[name];
      ASSERT_TRUE(ToNames(entry["services"]).count(service)) << service << " has " << name;
      EXPECT_EQ(family.type == "info" ? "gauge" : family.type, entry["type"].Text()) << name;
      EXPECT_FALSE(family.help.empty()) << name;
      const std::string unit = entry["unit"].Text();
      EXPECT_TRUE(family.unit.empty() || family.unit == unit) << name << " in " << family.unit;
      if (unit == "seconds" || unit == "bytes") {
        EXPECT_THAT(name, testing::HasSubstr(unit));
      }
      for (const Sample& sample : family.samples) ExpectSample(entry, sample, exemplars[service + name]);
      if (!family.samples.empty()) ledger.seen.emplace(service, name);
    }
  }
  ExpectEverySeen(entries, "name", ledger, [&](const Json& entry, const std::string& service) {
    const std::string name = entry["name"].Text();
    EXPECT_EQ(exemplars[service + name], entry["exemplars"].True()) << "exemplars of " << name;
    return ledger.seen.count({service, name}) > 0;
  });
}

// ---- spans

/// A server span without a route is named by its method alone.
std::string DeclaredName(const Span& span) {
  return span.kind == "server" && span.name.find(' ') == std::string::npos ? "{method}" : span.name;
}

void CheckSpans(const Json& contract, const Observed& live) {
  std::map<std::pair<std::string, std::string>, Json> declared;
  for (const Json& entry : contract["spans"].Items())
    declared[{entry["name"].Text(), entry["kind"].Text()}] = entry;
  Ledger ledger;
  for (const Span& span : live.spans) {
    const std::string name = DeclaredName(span);
    const Json entry = declared[{name, span.kind}];
    ASSERT_TRUE(ToNames(entry["services"]).count(span.service))
        << span.service << " emitted the " << span.kind << " span " << span.name;
    const Json attributes = span.kind == "server" ? contract["server_span"] : entry;
    Names have;
    for (const auto& [key, value] : span.attributes) have.insert(key);
    ExpectMembers(span.kind == "server" ? "server_span" : name, have, ToNames(attributes["attributes"]),
                  ToNames(attributes["optional"]), ledger.optional);
    ledger.seen.emplace(span.service, span.kind + name);
  }
  ExpectEverySeen(contract["spans"], "name", ledger, [&](const Json& entry, const std::string& service) {
    return ledger.seen.count({service, entry["kind"].Text() + entry["name"].Text()}) > 0;
  });
  for (const Json& member : contract["server_span"]["optional"].Items()) {
    EXPECT_TRUE(ledger.optional.count("server_span: " + member.Text())) << "never seen: " << member;
  }
}

// ---- logs

void CheckLogEvents(const Json& contract, const Observed& live) {
  const Names common = ToNames(contract["log_line"]["fields"]);
  const Names correlation = ToNames(contract["log_line"]["optional"]);
  std::map<std::string, Json> declared;
  for (const Json& entry : contract["logs"].Items()) declared[entry["message"].Text()] = entry;
  Ledger ledger;
  Names levels;
  for (const auto& [service, lines] : live.logs) {
    for (const Json& line : lines) {
      const std::string message = line["message"].Text();
      const Json entry = declared[message];
      ASSERT_TRUE(ToNames(entry["services"]).count(service)) << service << " logged " << line;
      EXPECT_TRUE(ToNames(entry["level"]).count(line["level"].Text())) << line;
      Names have;
      for (const std::string& name : line.Names()) have.insert(name);
      EXPECT_EQ(Join(Missing(common, have)), "") << line;
      EXPECT_EQ(line["service"].Text(), service);
      Names own = Missing(have, common);
      const Names correlated = Missing(own, Missing(own, correlation));
      EXPECT_TRUE(correlated.empty() || correlated == correlation) << line;
      own = Missing(own, correlation);
      ExpectMembers(message, own, ToNames(entry["fields"]), ToNames(entry["optional"]), ledger.optional);
      ledger.seen.emplace("", message);
      ledger.seen.emplace(service, message);
    }
  }
  // Some events need a fault that the scenario gives only one of the services.
  for (const Json& entry : contract["logs"].Items()) {
    if (entry.Has("rare")) continue;  // what no test can provoke
    EXPECT_TRUE(ledger.seen.count({"", entry["message"].Text()})) << "never logged: " << entry["message"];
    for (const Json& member : entry["optional"].Items()) {
      const std::string name = entry["message"].Text() + ": " + member.Text();
      EXPECT_TRUE(ledger.optional.count(name)) << "never seen: " << name;
    }
  }
}

// One test, because the scenario takes seconds.
TEST(Telemetry, IsExactlyWhatTheContractSays) {
  const Json contract = Contract();
  ASSERT_TRUE(contract.IsObject());
  const Observed live = Scenario().Run();
  CheckMetrics(contract, live);
  CheckSpans(contract, live);
  CheckLogEvents(contract, live);
}

TEST(Telemetry, HasNothingOfADatabaseOnTheFile) {
  DiceSystem system;
  system.die_service.StartReady();
  system.die_service.Get("/dice");
  EXPECT_TRUE(Becomes([&] { return system.die_service.Metric("http_requests_total"); }, testing::Ge(1)));
  Names metrics;
  for (const MetricFamily& family : system.die_service.Metrics()) metrics.insert(family.name);
  for (const Json& entry : Contract()["metrics"].Items()) {
    if (!ToNames(entry["services"]).count("die-service")) continue;
    EXPECT_EQ(metrics.count(entry["name"].Text()), entry["when"].Text() == "postgres" ? 0u : 1u)
        << entry["name"];
  }
}

}  // namespace
