#include "obs/postgres/pool.h"

#include <gmock/gmock.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "obs/log/writer.h"
#include "support/eventually.h"
#include "support/exposition.h"
#include "support/json.h"
#include "support/memory_file.h"
#include "support/postgres_server.h"
#include "support/temporary_file.h"

namespace obs::postgres {
namespace {

using support::Becomes;
using support::Eventually;
using support::Json;
using support::PostgresServer;
using support::Stopwatch;
using support::operator""ms;
using support::operator""s;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Ge;
using testing::HasSubstr;
using testing::Not;

const Statement kGet{
    .name = "get",
    .sql = "SELECT name, sides, probabilities FROM dice WHERE name = $1",
    .query_type = "get",
    .operation = "SELECT",
    .collection = "dice",
    .empty_is_not_found = true,
};
const Statement kList{
    .name = "list",
    .sql = "SELECT name FROM dice ORDER BY name",
    .query_type = "list",
    .operation = "SELECT",
    .collection = "dice",
};
const Statement kSleep{
    .name = "sleep",
    .sql = "SELECT pg_sleep($1::double precision)",
    .query_type = "sleep",
    .operation = "SELECT",
    .collection = "pg_sleep",
};

/// A pool on a server of its own, and everything that it tells about itself.
class PoolTest : public testing::Test {
 protected:
  PoolTest() {
    config_.host = "127.0.0.1";
    config_.port = server_.port();
    config_.database = "dicedb";
    config_.user = "diceuser";
    config_.pool_size = 3;
    config_.check_interval = 50ms;
    config_.check_sql = "SELECT 1 FROM dice LIMIT 1";
    trace_config_.service_name = "test";
    trace_config_.exporter = "console";
    trace_config_.schedule_delay = 10ms;
    unsetenv("PGPASSWORD");
    setenv("PGPASSFILE", password_file_.path().c_str(), 1);
    UsePassword(PostgresServer::Password("diceuser"));
  }

  /// By libpq's password file: the environment must not change while other threads read it.
  void UsePassword(const std::string& password) const {
    std::ofstream(password_file_.path()) << "*:*:*:*:" << password << '\n';
  }

  void Open() {
    provider_.emplace(trace_config_, registry_, logger_);
    pool_ = std::make_unique<Pool>(config_, logger_, registry_, provider_->tracer());
  }
  void OpenReady() {
    Open();
    ASSERT_TRUE(Ready()) << pool_->Unready().value_or("");
  }
  bool Ready() {
    return Eventually([this] { return !pool_->Unready() && Metric("database_connection_pool_size") > 0; });
  }
  /// Waits until no connection is missing.
  bool Full() {
    return Eventually([this] {
      return !pool_->Unready() &&
             Metric("database_connection_pool_available") == static_cast<double>(config_.pool_size);
    });
  }
  std::string UnreadyReason() { return pool_->Unready().value_or(""); }

  Rows Query(const Statement& statement, const std::vector<std::string>& parameters = {}) {
    return pool_->Query(statement, parameters, trace::Context(), logger_);
  }
  /// The type of the error that a query ends with; empty when it succeeds.
  std::string ErrorOf(const Statement& statement, const std::vector<std::string>& parameters = {}) {
    try {
      Query(statement, parameters);
      return "";
    } catch (const Error& error) {
      return error.type();
    }
  }

  std::string Log() {
    EXPECT_TRUE(writer_.Flush(support::kPatience));
    return log_file_.Text();
  }
  /// What is there now: complete for what the test's own thread has done, while the pool's threads log after
  /// they have changed what Unready() and the metrics say, so wait for theirs.
  std::vector<Json> Lines(const std::string& message) {
    std::vector<Json> lines;
    std::istringstream log(Log());
    for (std::string line; std::getline(log, line);) {
      Json json = Json::Parse(line);
      if (json["message"].Text() == message) lines.push_back(json);
    }
    return lines;
  }
  /// The same, when there are at least `count`.
  std::vector<Json> AwaitLines(const std::string& message, std::size_t count) {
    std::vector<Json> lines;
    EXPECT_TRUE(Becomes([&] { return (lines = Lines(message)).size(); }, Ge(count))) << message;
    lines.resize(std::max(lines.size(), count));
    return lines;
  }
  /// The span that was exported last, as the console exporter writes it.
  Json LastSpan(std::size_t count = 1) { return AwaitLines("span", count).back(); }
  double Metric(const std::string& name, const support::Labels& labels = {}) {
    return support::Value(support::ParseExposition(registry_.Render(metrics::Format::kText)), name, labels);
  }
  double Queries(const std::string& type, const std::string& result) {
    return Metric("database_queries_total", {{"query_type", type}, {"result", result}});
  }

  PostgresServer server_;
  const support::TemporaryFile password_file_{""};
  support::MemoryFile log_file_;
  // With room for what busy callers log while its thread waits for a processor: no line may be lost here.
  log::Writer writer_{log_file_.fd(), std::size_t{64} << 20};
  log::Logger logger_{writer_, "test", log::Level::kDebug};
  metrics::Registry registry_;
  Config config_;
  trace::Config trace_config_;
  std::optional<trace::Provider> provider_;
  std::unique_ptr<Pool> pool_;
};

class MigratedPool : public PoolTest {
 protected:
  MigratedPool() { server_.Migrate(); }
};

TEST_F(MigratedPool, GivesRowsAsText) {
  OpenReady();
  EXPECT_THAT(Query(kList), ElementsAre(Row{"extreme"}, Row{"fair"}, Row{"risky"}));
  EXPECT_THAT(Query(kGet, {"extreme"}),
              ElementsAre(Row{"extreme", "6", "{\"0\": 0.3333333333333333, \"6\": 0.6666666666666666}"}));
  EXPECT_THAT(Query(kGet, {"none"}), testing::IsEmpty());
  const Statement null{
      .name = "null", .sql = "SELECT NULL, ''", .query_type = "null", .operation = "", .collection = ""};
  EXPECT_THAT(Query(null), ElementsAre(Row{std::nullopt, ""}));
}

TEST_F(MigratedPool, CountsTimesAndLogsEachQuery) {
  OpenReady();
  Query(kList);
  Query(kGet, {"fair"});
  Query(kGet, {"a-secret-name"});
  EXPECT_EQ(Queries("list", "success"), 1);
  EXPECT_EQ(Queries("get", "success"), 1);
  EXPECT_EQ(Queries("get", "not_found"), 1);
  EXPECT_EQ(Metric("database_query_duration_seconds_count", {{"query_type", "get"}}), 2);
  const auto lines = Lines("Database query executed");
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["level"].Text(), "INFO");
  EXPECT_EQ(lines[0]["query_type"].Text(), "list");
  EXPECT_EQ(lines[0]["rows"].Number(), 3);
  EXPECT_GT(lines[0]["duration_ms"].Number(), 0);
  EXPECT_EQ(lines[2]["result"].Text(), "not_found");
  EXPECT_THAT(Log(), Not(HasSubstr("a-secret-name")));
}

TEST_F(MigratedPool, ShowsAnnouncedQueriesAtZero) {
  OpenReady();
  pool_->Announce(kGet);
  pool_->Announce(kList);
  const std::string page = registry_.Render(metrics::Format::kText);
  for (const char* series :
       {"{query_type=\"get\",result=\"success\"} 0", "{query_type=\"get\",result=\"not_found\"} 0",
        "{query_type=\"get\",result=\"error\"} 0", "{query_type=\"list\",result=\"success\"} 0",
        "database_query_duration_seconds_count{query_type=\"list\"} 0"}) {
    EXPECT_THAT(page, HasSubstr(series));
  }
  EXPECT_THAT(page, Not(HasSubstr("{query_type=\"list\",result=\"not_found\"}")));
}

TEST_F(MigratedPool, MakesASpanWithOldAndStableAttributes) {
  OpenReady();
  Query(kGet, {"a-secret-name"});
  const Json span = LastSpan();
  EXPECT_EQ(span["name"].Text(), "SELECT dice");
  EXPECT_EQ(span["kind"].Text(), "client");
  EXPECT_EQ(span["status"].Text(), "unset");
  EXPECT_THAT(span["attributes"].Text(),
              AllOf(HasSubstr("db.system.name=postgresql"), HasSubstr("db.namespace=dicedb"),
                    HasSubstr("db.query.text='" + kGet.sql + "'"), HasSubstr("db.operation.name=SELECT"),
                    HasSubstr("db.collection.name=dice"), HasSubstr("server.address=127.0.0.1"),
                    HasSubstr("server.port=" + std::to_string(server_.port()))));
  EXPECT_THAT(span["attributes"].Text(),
              AllOf(HasSubstr("db.system=postgresql"), HasSubstr("db.name=dicedb"),
                    HasSubstr("db.statement='" + kGet.sql + "'"), HasSubstr("db.user=diceuser")));
  EXPECT_THAT(Log(), Not(HasSubstr("a-secret-name")));
  const auto lines = Lines("Database query executed");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["span_id"].Text(), span["span_id"].Text());
  EXPECT_THAT(registry_.Render(metrics::Format::kOpenMetrics), HasSubstr(span["trace_id"].Text()));
}

TEST_F(MigratedPool, LeavesOldAttributesOutWhenToldSo) {
  config_.old_attributes = false;
  OpenReady();
  Query(kList);
  EXPECT_THAT(LastSpan()["attributes"].Text(),
              AllOf(HasSubstr("db.system.name="), Not(HasSubstr("db.system=")), Not(HasSubstr("db.name=")),
                    Not(HasSubstr("db.statement=")), Not(HasSubstr("db.user="))));
}

TEST_F(MigratedPool, SaysThatAPrivilegeIsMissing) {
  config_.check_sql = "SELECT * FROM schema_migrations";
  Open();
  EXPECT_TRUE(Eventually([this] { return UnreadyReason().find("SQLSTATE") != std::string::npos; }));
  EXPECT_THAT(UnreadyReason(),
              HasSubstr("SQLSTATE 42501: ERROR: permission denied for table schema_migrations"));
}

TEST_F(MigratedPool, ReportsARefusedStatementWithoutTheValue) {
  OpenReady();
  const Statement cast{.name = "cast",
                       .sql = "SELECT $1::text::integer",
                       .query_type = "cast",
                       .operation = "SELECT",
                       .collection = "x"};
  try {
    Query(cast, {"a-secret-value"});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.type(), "database-error");
    EXPECT_EQ(error.code(), ErrorCode::kInternal);
    EXPECT_THAT(error.cause(), Not(HasSubstr("a-secret-value")));
  }
  const Json span = LastSpan();
  EXPECT_EQ(span["status"].Text(), "error");
  EXPECT_THAT(span["attributes"].Text(),
              AllOf(HasSubstr("db.response.status_code=22P02"), HasSubstr("error.type=22P02")));
  const auto lines = Lines("Database query failed");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["level"].Text(), "ERROR");
  EXPECT_EQ(lines[0]["sqlstate"].Text(), "22P02");
  EXPECT_EQ(lines[0]["query_type"].Text(), "cast");
  EXPECT_EQ(Queries("cast", "error"), 1);
  EXPECT_THAT(Log(), Not(HasSubstr("a-secret-value")));
  EXPECT_EQ(Lines("Database connection lost").size(), 0u) << "the connection is fine";
}

TEST_F(MigratedPool, RefusesAValueThatThePostgresTextCannotHold) {
  OpenReady();
  EXPECT_EQ(ErrorOf(kGet, {std::string("fair\0x", 6)}), "database-error");
  EXPECT_EQ(ErrorOf(kGet, {"\xff"}), "database-error");
  EXPECT_EQ(Query(kGet, {"fair"}).size(), 1u);
}

TEST_F(MigratedPool, EndsAStatementThatRunsTooLong) {
  config_.statement_timeout = 200ms;
  OpenReady();
  const Stopwatch stopwatch;
  EXPECT_EQ(ErrorOf(kSleep, {"30"}), "database-timeout");
  EXPECT_LT(stopwatch.elapsed(), 5s);
  EXPECT_THAT(LastSpan()["attributes"].Text(), HasSubstr("db.response.status_code=57014"));
  EXPECT_EQ(Lines("Database connection lost").size(), 0u);
  EXPECT_EQ(Query(kList).size(), 3u);
}

TEST_F(MigratedPool, EndsAStatementWhenTheServerStandsStill) {
  config_.statement_timeout = 200ms;
  config_.acquire_timeout = 300ms;
  OpenReady();
  ASSERT_TRUE(Full());
  server_.Freeze();
  const Stopwatch stopwatch;
  EXPECT_EQ(ErrorOf(kList), "database-timeout");
  EXPECT_LT(stopwatch.elapsed(), 5s);
  EXPECT_TRUE(Eventually([this] { return pool_->Unready().has_value(); }));
  EXPECT_EQ(ErrorOf(kList), "database-unavailable");
  server_.Thaw();
  ASSERT_TRUE(Ready());
  EXPECT_EQ(Query(kList).size(), 3u);
}

TEST_F(MigratedPool, WaitsForAConnectionAndSaysWhenNoneIsFree) {
  config_.pool_size = 2;
  config_.acquire_timeout = 200ms;
  OpenReady();
  ASSERT_TRUE(Full());
  std::vector<std::thread> sleepers;
  for (int i = 0; i < 2; ++i) sleepers.emplace_back([this] { EXPECT_EQ(ErrorOf(kSleep, {"1.5"}), ""); });
  ASSERT_TRUE(Eventually([this] { return Metric("database_connection_pool_available") == 0; }));
  const Stopwatch stopwatch;
  EXPECT_EQ(ErrorOf(kGet, {"fair"}), "database-pool-exhausted");
  EXPECT_GE(stopwatch.elapsed(), 200ms);
  EXPECT_EQ(Metric("database_connection_pool_size"), 2);
  for (std::thread& sleeper : sleepers) sleeper.join();
  const auto lines = Lines("Database connection pool exhausted");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["level"].Text(), "WARN");
  EXPECT_EQ(Queries("get", "error"), 1);
  EXPECT_EQ(Metric("database_query_duration_seconds_count", {{"query_type", "get"}}), 0)
      << "it never was sent";
  EXPECT_EQ(Query(kGet, {"fair"}).size(), 1u);
  ASSERT_TRUE(Full());
}

TEST_F(MigratedPool, HandsAFreedConnectionToWhoWaits) {
  config_.pool_size = 1;
  config_.acquire_timeout = 15s;
  config_.check_interval = 1000s;
  OpenReady();
  ASSERT_TRUE(Full());
  std::thread sleeper([this] { Query(kSleep, {"1"}); });
  ASSERT_TRUE(Eventually([this] { return Metric("database_connection_pool_available") == 0; }));
  EXPECT_EQ(Query(kList).size(), 3u);
  sleeper.join();
}

TEST_F(MigratedPool, OpensTheWholePoolAndSaysSoOnce) {
  OpenReady();
  ASSERT_TRUE(Full());
  EXPECT_EQ(Metric("database_connection_pool_size"), 3);
  const auto lines = AwaitLines("Database connection pool established", 1);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["level"].Text(), "INFO");
  EXPECT_EQ(lines[0]["size"].Number(), 3);
  EXPECT_EQ(lines[0]["host"].Text(), "127.0.0.1");
  EXPECT_EQ(lines[0]["database"].Text(), "dicedb");
  EXPECT_EQ(lines[0]["user"].Text(), "diceuser");
}

TEST_F(MigratedPool, HidesTheLossOfEveryConnectionFromCallers) {
  OpenReady();
  std::atomic<int> answered = 0;
  std::vector<std::jthread> callers;
  for (int i = 0; i < 2; ++i) {
    callers.emplace_back([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        EXPECT_EQ(ErrorOf(kGet, {"fair"}), "");
        ++answered;
      }
    });
  }
  for (int round = 0; round < 5; ++round) {
    EXPECT_TRUE(Eventually([this] { return server_.TerminateSessions("diceuser") > 0; }));
    const int before = answered;
    EXPECT_TRUE(Eventually([&] { return answered > before + 50; }));
  }
  callers.clear();  // stops and joins them
  EXPECT_EQ(Queries("get", "error"), 0);
  AwaitLines("Database connection lost", 1);
  AwaitLines("Database connection pool established", 2);
  ASSERT_TRUE(Full());
}

TEST_F(MigratedPool, FailsAtOnceWhileTheServerIsAwayAndRecovers) {
  config_.acquire_timeout = 10s;
  OpenReady();
  server_.Stop();
  ASSERT_TRUE(Eventually([this] { return UnreadyReason().find("Connection refused") != std::string::npos; }));
  EXPECT_THAT(UnreadyReason(), HasSubstr("cannot connect to the database"));
  const Stopwatch stopwatch;
  EXPECT_EQ(ErrorOf(kList), "database-unavailable");
  EXPECT_LT(stopwatch.elapsed(), 5s);
  EXPECT_EQ(Metric("database_connection_pool_size"), 0);
  EXPECT_EQ(Metric("database_connection_pool_available"), 0);
  const auto failures = AwaitLines("Database connection failed", 1);
  EXPECT_EQ(failures[0]["level"].Text(), "ERROR");
  EXPECT_THAT(Log(), HasSubstr("Connection refused"));
  AwaitLines("Database connection lost", 1);
  server_.Start();
  ASSERT_TRUE(Ready());
  EXPECT_EQ(Query(kList).size(), 3u);
  AwaitLines("Database connection pool established", 2);
}

TEST_F(MigratedPool, TriesLessAndLessOftenWhileTheServerIsAway) {
  server_.Stop();
  Open();
  const auto failures = AwaitLines("Database connection failed", 4);
  double longest = 100;
  for (std::size_t i = 0; i < 4; ++i, longest *= 2) {
    EXPECT_EQ(failures[i]["attempt"].Number(), static_cast<double>(i + 1));
    EXPECT_GE(failures[i]["retry_in_ms"].Number(), longest / 2);
    EXPECT_LE(failures[i]["retry_in_ms"].Number(), longest);
  }
}

TEST_F(MigratedPool, SurvivesACrashOfTheServer) {
  OpenReady();
  ASSERT_TRUE(Full());
  server_.Restart(PostgresServer::StopMode::kImmediate);
  EXPECT_TRUE(Eventually([this] { return ErrorOf(kList).empty(); }));
  ASSERT_TRUE(Ready());
}

TEST_F(MigratedPool, PreparesAnewWhenTheSchemaHasChanged) {
  config_.pool_size = 1;
  OpenReady();
  const Statement all{.name = "all",
                      .sql = "SELECT * FROM dice",
                      .query_type = "all",
                      .operation = "SELECT",
                      .collection = "dice"};
  EXPECT_EQ(Query(all).at(0).size(), 6u);
  server_.Psql(
      "CREATE OR REPLACE VIEW dice AS SELECT identifier AS id, identifier AS name, cardinality(faces) AS "
      "sides, "
      "probabilities, faces, error_rate, 1 AS added FROM die_specifications");
  EXPECT_EQ(Query(all).at(0).size(), 7u);
}

TEST_F(MigratedPool, SaysThatThePasswordIsWrongWithoutSayingThePassword) {
  UsePassword("hunter2-is-wrong");
  Open();
  ASSERT_TRUE(Eventually([this] {
    return UnreadyReason().find("password authentication failed") != std::string::npos;
  })) << UnreadyReason();
  EXPECT_EQ(ErrorOf(kList), "database-unavailable");
  AwaitLines("Database connection failed", 1);
  EXPECT_THAT(Log(), Not(HasSubstr("hunter2")));
  UsePassword(PostgresServer::Password("diceuser"));
  ASSERT_TRUE(Ready());
  EXPECT_THAT(Log(), Not(HasSubstr(PostgresServer::Password("diceuser"))));
}

TEST_F(MigratedPool, QuotesWhatItConnectsWith) {
  config_.database = "no 'such' \\ database options=-cstatement_timeout=0";
  Open();
  ASSERT_TRUE(Eventually([this] { return UnreadyReason().find("does not exist") != std::string::npos; }))
      << UnreadyReason();
  EXPECT_THAT(UnreadyReason(), HasSubstr(config_.database));
}

TEST_F(PoolTest, SaysThatMigrationsAreMissingAndBecomesReadyWhenTheyAreNot) {
  Open();
  ASSERT_TRUE(Eventually([this] { return UnreadyReason().find("migrations/apply") != std::string::npos; }))
      << UnreadyReason();
  EXPECT_THAT(UnreadyReason(), AllOf(HasSubstr("migrations have not been applied"), HasSubstr("dice")));
  const auto lines = AwaitLines("Database query failed", 1);
  ASSERT_EQ(lines.size(), 1u) << "told once, not at each check";
  EXPECT_EQ(lines[0]["query_type"].Text(), "check");
  EXPECT_EQ(ErrorOf(kList), "database-error");
  server_.Migrate();
  ASSERT_TRUE(Ready());
  EXPECT_EQ(Query(kList).size(), 3u);
}

TEST_F(MigratedPool, FinishesWhatRunsBeforeItCloses) {
  OpenReady();
  ASSERT_TRUE(Full());
  std::thread sleeper([this] { EXPECT_EQ(ErrorOf(kSleep, {"1"}), ""); });
  ASSERT_TRUE(Eventually([this] { return Metric("database_connection_pool_available") < 3; }));
  pool_->Close();
  sleeper.join();
  EXPECT_EQ(Queries("sleep", "success"), 1);
  EXPECT_EQ(ErrorOf(kList), "database-unavailable");
  EXPECT_EQ(Metric("database_connection_pool_size"), 0);
  EXPECT_EQ(Lines("Database connection pool closed").size(), 1u);
  EXPECT_TRUE(Eventually([this] {
    return server_.Psql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'diceuser'") == "0";
  }));
  pool_->Close();
  EXPECT_EQ(Lines("Database connection pool closed").size(), 1u);
}

TEST_F(MigratedPool, ClosesSoonWhileTheServerIsAway) {
  server_.Stop();
  Open();
  AwaitLines("Database connection failed", 3);
  const Stopwatch stopwatch;
  pool_->Close();
  EXPECT_LT(stopwatch.elapsed(), 5s);
}

}  // namespace
}  // namespace obs::postgres
