#include "obs/postgres/pool.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "obs/async/all.h"
#include "obs/async/run.h"
#include "obs/log/writer.h"
#include "support/eventually.h"
#include "support/exposition.h"
#include "support/json.h"
#include "support/memory_file.h"
#include "support/postgres_server.h"
#include "support/temporary_file.h"

namespace obs::postgres {
namespace {

using support::Eventually;
using support::Json;
using support::PostgresServer;
using support::Stopwatch;
using support::operator""ms;
using support::operator""s;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
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

const Statement kSession{
    .name = "session",
    .sql = "SELECT pg_backend_pid()",
    .query_type = "session",
    .operation = "SELECT",
    .collection = "pg_backend_pid",
};
const Statement kInsert{
    .name = "insert",
    .sql = "INSERT INTO notes VALUES ('x')",
    .query_type = "insert",
    .operation = "INSERT",
    .collection = "notes",
};

/// Named by its text.
Statement Select(const std::string& sql) {
  return {.name = sql, .sql = sql, .query_type = "other", .operation = "SELECT", .collection = "other"};
}

template <typename T>
async::Task<std::vector<T>> Together(std::vector<async::Task<T>> tasks) {
  co_return co_await async::All<T>(std::move(tasks));
}

std::size_t Threads() {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}));
}

/// What is written on standard error while this lives.
class CapturedErrors {
 public:
  CapturedErrors() { dup2(file_.fd(), STDERR_FILENO); }
  ~CapturedErrors() {
    dup2(before_, STDERR_FILENO);
    close(before_);
  }
  CapturedErrors(const CapturedErrors&) = delete;
  CapturedErrors& operator=(const CapturedErrors&) = delete;
  std::string Text() const { return file_.Text(); }

 private:
  const support::MemoryFile file_;
  const int before_ = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
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
    // Beyond what a loaded machine needs, where a test does not say otherwise.
    config_.acquire_timeout = 15s;
    config_.statement_timeout = 60s;
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
    tracer_ = provider_->tracer();
    pool_ = std::make_unique<Pool>(config_, telemetry_);
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

  /// A query with a scope of its own.
  static async::Task<Rows> Ask(Pool& pool, const Telemetry& telemetry, async::Loop& loop,
                               const Statement& statement, std::vector<std::string> parameters,
                               Deadline deadline = Deadline::max()) {
    Activity activity;
    Scope scope(telemetry, loop, trace::Span(), deadline, activity);
    co_return co_await pool.Query(statement, std::move(parameters), scope);
  }
  async::Task<Rows> Ask(const Statement& statement, std::vector<std::string> parameters = {},
                        Deadline deadline = Deadline::max()) {
    return Ask(*pool_, telemetry_, loop_.loop(), statement, std::move(parameters), deadline);
  }
  Rows Query(const Statement& statement, std::vector<std::string> parameters = {}) {
    return loop_.Run(Ask(statement, std::move(parameters)));
  }
  /// The type of the error that a task ends with; empty when it succeeds.
  static async::Task<std::string> ErrorOf(async::Task<Rows> query) {
    try {
      co_await query;
    } catch (const Error& error) {
      co_return error.type();
    }
    co_return "";
  }
  std::string ErrorOf(const Statement& statement, std::vector<std::string> parameters = {},
                      Deadline deadline = Deadline::max()) {
    return loop_.Run(ErrorOf(Ask(statement, std::move(parameters), deadline)));
  }

  /// A query under way, while the test does something else.
  class Started final : private async::Root::Listener {
   public:
    Started(PoolTest& test, const Statement& statement, std::vector<std::string> parameters = {})
        : loop_(test.loop_) {
      root_.Start(Keep(ErrorOf(test.Ask(statement, std::move(parameters))), error_), *this);
    }
    void Cancel() { root_.Cancel(); }
    bool over() const { return !root_.running(); }
    /// The type of its error; empty when it has succeeded.
    std::string Finish() {
      loop_.RunUntil([this] { return over(); });
      return error_;
    }

   private:
    static async::Task<void> Keep(async::Task<std::string> task, std::string& error) {
      error = co_await task;
    }
    void OnFinished() override {}

    async::StandaloneLoop& loop_;
    std::string error_ = "none yet";
    async::Root root_;
  };

  /// All that was logged before: a line of the test's own is the last to come.
  std::string Log() {
    const std::string last = "the test reads, time " + std::to_string(++reads_);
    logger_.Info(last);
    EXPECT_TRUE(Eventually([&] { return log_file_.Text().find(last) != std::string::npos; }));
    return log_file_.Text();
  }
  std::vector<Json> Lines(const std::string& message) {
    std::vector<Json> lines;
    std::istringstream log(Log());
    for (std::string line; std::getline(log, line);) {
      Json json = Json::Parse(line);
      if (json["message"].Text() == message) lines.push_back(json);
    }
    return lines;
  }
  /// As Lines(), of lines that another thread is about to write.
  std::vector<Json> AwaitLines(const std::string& message, std::size_t count = 1) {
    EXPECT_TRUE(Eventually([&] { return Lines(message).size() >= count; })) << message;
    auto lines = Lines(message);
    if (lines.size() < count) lines.resize(count);
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
  log::Writer writer_{log_file_.fd()};
  log::Logger logger_{writer_, "test", log::Level::kDebug};
  metrics::Registry registry_;
  Config config_;
  trace::Config trace_config_;
  std::optional<trace::Provider> provider_;
  trace::Tracer tracer_;
  const trace::Propagator propagator_;
  const Telemetry telemetry_{logger_, registry_, tracer_, propagator_};
  std::unique_ptr<Pool> pool_;
  async::StandaloneLoop loop_;
  int reads_ = 0;
};

class MigratedPool : public PoolTest {
 protected:
  MigratedPool() { server_.Migrate(); }

  /// A table that diceuser may write.
  void MakeNotes() const { server_.Psql("CREATE TABLE notes (text text); GRANT ALL ON notes TO diceuser"); }
  /// How many sessions run kSleep.
  int Asleep() const {
    return std::stoi(server_.Psql(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep(%'"));
  }
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
  EXPECT_GE(lines[0]["wait_ms"].Number(), 0);
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
  Started first(*this, kSleep, {"60"});
  Started second(*this, kSleep, {"60"});
  EXPECT_EQ(ErrorOf(kGet, {"fair"}), "database-pool-exhausted");
  first.Cancel();
  second.Cancel();
  EXPECT_EQ(Metric("database_connection_pool_size"), 2);
  const auto lines = Lines("Database connection pool exhausted");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["level"].Text(), "WARN");
  EXPECT_GE(lines[0]["wait_ms"].Number(), 200);
  EXPECT_THAT(lines[0]["reason"].Text(), HasSubstr("none of 2 became free in "));
  EXPECT_EQ(Queries("get", "error"), 1);
  EXPECT_EQ(Metric("database_query_duration_seconds_count", {{"query_type", "get"}}), 0)
      << "it never was sent";
  EXPECT_EQ(Query(kGet, {"fair"}).size(), 1u);
  ASSERT_TRUE(Full());
}

TEST_F(MigratedPool, RefusesAtOnceWhatWouldWaitBehindTooMany) {
  config_.pool_size = 1;
  config_.max_waiting = 2;
  OpenReady();
  ASSERT_TRUE(Full());
  Started sleeper(*this, kSleep, {"60"});
  ASSERT_TRUE(Eventually([this] { return Asleep() == 1; }));
  Started first(*this, kList);
  Started second(*this, kList);
  EXPECT_EQ(ErrorOf(kList), "database-pool-exhausted");
  EXPECT_FALSE(first.over());
  EXPECT_FALSE(sleeper.over());
  sleeper.Cancel();
  EXPECT_THAT(AwaitLines("Database connection pool exhausted").front()["reason"].Text(),
              "2 queries wait already");
  EXPECT_EQ(second.Finish(), "");
  EXPECT_EQ(first.Finish(), "");
}

TEST_F(MigratedPool, HandsAFreedConnectionToWhatWaits) {
  config_.pool_size = 1;
  config_.check_interval = 1000s;
  OpenReady();
  ASSERT_TRUE(Full());
  Started sleeper(*this, kSleep, {"0.3"});
  EXPECT_EQ(Metric("requests_waiting", {{"for", "database"}}), 1);
  EXPECT_EQ(Query(kList).size(), 3u);
  EXPECT_EQ(sleeper.Finish(), "");
  EXPECT_EQ(Metric("requests_waiting", {{"for", "database"}}), 0);
}

TEST_F(MigratedPool, OpensTheWholePoolAndSaysSoOnce) {
  OpenReady();
  ASSERT_TRUE(Full());
  EXPECT_EQ(Metric("database_connection_pool_size"), 3);
  const auto lines = AwaitLines("Database connection pool established");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["level"].Text(), "INFO");
  EXPECT_EQ(lines[0]["size"].Number(), 3);
  EXPECT_EQ(lines[0]["host"].Text(), "127.0.0.1");
  EXPECT_EQ(lines[0]["database"].Text(), "dicedb");
  EXPECT_EQ(lines[0]["user"].Text(), "diceuser");
}

TEST_F(MigratedPool, HidesTheLossOfEveryConnectionFromCallers) {
  OpenReady();
  constexpr std::size_t kCallers = 2;
  std::array<std::atomic<int>, kCallers> answered{};
  std::vector<std::jthread> callers;
  for (std::atomic<int>& count : answered) {
    callers.emplace_back([&](const std::stop_token& stop) {
      // Each on a loop of its own. Thousands of lines about queries would push out the few that matter here.
      async::StandaloneLoop loop;
      while (!stop.stop_requested()) {
        EXPECT_EQ(loop.Run(ErrorOf(Ask(*pool_, Telemetry::None(), loop.loop(), kGet, {"fair"}))), "");
        ++count;
      }
    });
  }
  for (int round = 0; round < 5; ++round) {
    EXPECT_TRUE(Eventually([this] { return server_.TerminateSessions("diceuser") > 0; }));
    // A query is sent again once. So each caller must go on before the connections are lost again.
    for (std::atomic<int>& count : answered) {
      EXPECT_TRUE(Eventually([&count, before = count.load()] { return count > before + 25; }));
    }
  }
  callers.clear();  // stops and joins them
  EXPECT_EQ(Queries("get", "error"), 0);
  AwaitLines("Database connection lost");
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
  const auto failures = AwaitLines("Database connection failed");
  EXPECT_EQ(failures[0]["level"].Text(), "ERROR");
  EXPECT_THAT(Log(), HasSubstr("Connection refused"));
  AwaitLines("Database connection lost");
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
  AwaitLines("Database connection failed");
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
  const auto lines = AwaitLines("Database query failed");
  ASSERT_EQ(lines.size(), 1u) << "told once, not at each check";
  EXPECT_EQ(lines[0]["query_type"].Text(), "check");
  EXPECT_EQ(ErrorOf(kList), "database-error");
  server_.Migrate();
  ASSERT_TRUE(Ready());
  EXPECT_EQ(Query(kList).size(), 3u);
}

TEST_F(MigratedPool, CancelsInPostgresWhatIsNotAwaitedAnyMore) {
  config_.pool_size = 1;
  config_.check_interval = 1000s;
  OpenReady();
  ASSERT_TRUE(Full());
  const Rows session = Query(kSession);
  Started sleeper(*this, kSleep, {"60"});
  ASSERT_TRUE(Eventually([this] { return Asleep() == 1; }));
  const Stopwatch stopwatch;
  sleeper.Cancel();
  EXPECT_EQ(Query(kSession), session) << "the connection is used again";
  // Some milliseconds on a quiet machine.
  RecordProperty("milliseconds_to_cancel", static_cast<int>(stopwatch.elapsed().count()));
  EXPECT_LT(stopwatch.elapsed(), 20s);
  EXPECT_EQ(Asleep(), 0);
  EXPECT_EQ(Metric("requests_waiting", {{"for", "database"}}), 0);
  EXPECT_EQ(Queries("sleep", "error"), 1);
  EXPECT_EQ(Metric("database_query_duration_seconds_count", {{"query_type", "sleep"}}), 1);
  const auto lines = Lines("Database query cancelled");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["level"].Text(), "WARN");
  EXPECT_EQ(lines[0]["query_type"].Text(), "sleep");
  EXPECT_GT(lines[0]["duration_ms"].Number(), 0);
  LastSpan(3);
  const auto spans = Lines("span");
  const auto cancelled = std::find_if(
      spans.begin(), spans.end(), [](const Json& span) { return span["name"].Text() == "SELECT pg_sleep"; });
  ASSERT_NE(cancelled, spans.end());
  EXPECT_EQ((*cancelled)["status"].Text(), "error");
  EXPECT_THAT((*cancelled)["attributes"].Text(), HasSubstr("error.type=cancelled"));
  EXPECT_EQ((*cancelled)["span_id"].Text(), lines[0]["span_id"].Text());
  EXPECT_EQ(Lines("Database query failed").size(), 0u);
  EXPECT_EQ(Lines("Database connection lost").size(), 0u);
}

TEST_F(MigratedPool, ForgetsWhatWaitsAndIsNotAwaitedAnyMore) {
  config_.pool_size = 1;
  config_.max_waiting = 1;
  OpenReady();
  ASSERT_TRUE(Full());
  Started sleeper(*this, kSleep, {"60"});
  ASSERT_TRUE(Eventually([this] { return Asleep() == 1; }));
  Started waiting(*this, kInsert);
  waiting.Cancel();
  Started next(*this, kList);
  EXPECT_FALSE(next.over()) << "there is room in the queue";
  sleeper.Cancel();
  EXPECT_EQ(next.Finish(), "");
  EXPECT_EQ(Queries("insert", "error"), 1);
  EXPECT_EQ(Metric("database_query_duration_seconds_count", {{"query_type", "insert"}}), 0)
      << "it was not sent";
  const auto lines = Lines("Database query cancelled");
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["query_type"].Text(), "insert");
  EXPECT_GE(lines[0]["wait_ms"].Number(), 0);
}

TEST_F(MigratedPool, NeverCancelsTheNextQueryOnAConnection) {
  config_.pool_size = 1;
  config_.check_interval = 1ms;
  OpenReady();
  // Long enough for a stray request to find it.
  const Statement next = Select("SELECT pg_backend_pid(), pg_sleep(0.004)");
  const Rows session = Query(next);
  for (int round = 0; round < 200; ++round) {
    Started sleeper(*this, kSleep, {"0.0005"});
    // At some moment of its life: before, while and after it runs.
    std::this_thread::sleep_for(std::chrono::microseconds(round * 10 % 1500));
    sleeper.Cancel();
    ASSERT_EQ(Query(next), session) << "round " << round;
  }
  EXPECT_EQ(Lines("Database query failed").size(), 0u);
  EXPECT_EQ(Lines("Database connection lost").size(), 0u);
}

TEST_F(MigratedPool, EndsAQueryAtTheDeadlineOfItsScope) {
  config_.pool_size = 1;
  OpenReady();
  ASSERT_TRUE(Full());
  const Stopwatch stopwatch;
  EXPECT_EQ(ErrorOf(kSleep, {"60"}, async::Clock::now() + 200ms), "database-timeout");
  EXPECT_EQ(AwaitLines("Database query failed").front()["reason"].Text(),
            "the deadline of the request passed");
  EXPECT_LT(stopwatch.elapsed(), 20s);
  EXPECT_EQ(Asleep(), 0);
  Started sleeper(*this, kSleep, {"60"});
  EXPECT_EQ(ErrorOf(kList, {}, async::Clock::now() + 50ms), "database-pool-exhausted");
  EXPECT_FALSE(sleeper.over());
}

TEST_F(MigratedPool, CancelsAndClosesWhileTheServerStandsStill) {
  config_.statement_timeout = 200ms;
  const std::size_t threads = Threads();
  OpenReady();
  ASSERT_TRUE(Full());
  server_.Freeze();
  Started sleeper(*this, kSleep, {"30"});
  ASSERT_TRUE(Eventually([this] { return Metric("database_connection_pool_available") < 3; }));
  const Stopwatch stopwatch;
  sleeper.Cancel();
  pool_->Close();
  EXPECT_LT(stopwatch.elapsed(), 20s);
  server_.Thaw();
  pool_.reset();
  provider_.reset();
  EXPECT_TRUE(Eventually([&] { return Threads() == threads; }));
}

TEST_F(MigratedPool, WritesNoticesAsLines) {
  server_.Psql(
      "CREATE FUNCTION tell(what text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'I tell %', "
      "what; "
      "RETURN what; END $$; UPDATE pg_database SET datcollversion = '0.1' WHERE datname = 'dicedb'");
  const CapturedErrors errors;
  OpenReady();
  ASSERT_TRUE(Full());
  const auto starts = AwaitLines("Database notice", 3);
  EXPECT_EQ(starts[0]["level"].Text(), "WARN");
  EXPECT_EQ(starts[0]["severity"].Text(), "WARNING");
  EXPECT_EQ(starts[0]["sqlstate"].Text(), "01000");
  EXPECT_THAT(starts[0]["notice"].Text(), HasSubstr("collation version"));
  EXPECT_EQ(starts[0]["database"].Text(), "dicedb");
  const Statement known = Select("SELECT tell('a-known-word')");
  Query(known);
  const auto told = AwaitLines("Database notice").back();
  EXPECT_EQ(told["level"].Text(), "INFO");
  EXPECT_EQ(told["notice"].Text(), "I tell a-known-word");
  const Statement secret = Select("SELECT tell($1)");
  Query(secret, {"a-secret-value"});
  EXPECT_EQ(AwaitLines("Database notice").back()["severity"].Text(), "NOTICE");
  const std::size_t before = Lines("Database notice").size();
  const Statement many = Select("SELECT tell('x') FROM generate_series(1, 1000)");
  Query(many);
  EXPECT_EQ(Lines("Database notice").size(), before + 10);
  EXPECT_THAT(Log(), Not(HasSubstr("a-secret-value")));
  EXPECT_EQ(errors.Text(), "");
}

TEST_F(MigratedPool, KeepsItsConnectionsThroughADeadlock) {
  config_.pool_size = 2;
  server_.Psql(
      "CREATE FUNCTION lock_both(one int, other int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN "
      "PERFORM pg_advisory_xact_lock(one); PERFORM pg_sleep(1); PERFORM pg_advisory_xact_lock(other); END "
      "$$;"
      "CREATE FUNCTION refuse(code text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN "
      "RAISE EXCEPTION 'no' USING ERRCODE = code; END $$");
  OpenReady();
  ASSERT_TRUE(Full());
  const Statement lock = Select("SELECT lock_both($1::int, $2::int)");
  std::vector<async::Task<std::string>> tasks;
  tasks.push_back(ErrorOf(Ask(lock, {"1", "2"})));
  tasks.push_back(ErrorOf(Ask(lock, {"2", "1"})));
  EXPECT_THAT(loop_.Run(Together(std::move(tasks))), testing::UnorderedElementsAre("", "database-error"));
  EXPECT_EQ(AwaitLines("Database query failed").front()["sqlstate"].Text(), "40P01");
  const Statement refuse = Select("SELECT refuse($1)");
  for (const char* code : {"40001", "40000", "53200"}) {
    EXPECT_EQ(ErrorOf(refuse, {code}), "database-error");
    EXPECT_EQ(AwaitLines("Database query failed").back()["sqlstate"].Text(), code);
  }
  EXPECT_EQ(Lines("Database connection lost").size(), 0u);
  EXPECT_EQ(Lines("Database connection pool established").size(), 1u);
}

TEST_F(MigratedPool, KeepsItsConnectionWhenParametersAreMissing) {
  config_.pool_size = 1;
  OpenReady();
  const Rows session = Query(kSession);
  EXPECT_EQ(ErrorOf(kGet), "database-error");
  EXPECT_EQ(ErrorOf(kGet, {"fair", "risky"}), "database-error");
  EXPECT_THAT(AwaitLines("Database query failed").front()["reason"].Text(),
              HasSubstr("supplies 0 parameters"));
  EXPECT_EQ(Query(kSession), session);
  EXPECT_EQ(Lines("Database connection lost").size(), 0u);
}

TEST_F(MigratedPool, TellsStatementsApartByTheirText) {
  config_.pool_size = 1;
  OpenReady();
  const Statement wrong = Select("SELEC 1");
  Statement one = Select("SELECT 1");
  Statement two = Select("SELECT 2");
  Statement three = Select("SELECT 3");
  one.name = wrong.name;
  two.name = one.name;
  three.name = one.name;
  EXPECT_EQ(ErrorOf(wrong), "database-error");
  EXPECT_EQ(ErrorOf(wrong), "database-error");
  EXPECT_THAT(Query(one), ElementsAre(Row{"1"}));
  EXPECT_THAT(Query(two), ElementsAre(Row{"2"}));
  EXPECT_THAT(Query(three), ElementsAre(Row{"3"}));
  EXPECT_THAT(Query(one), ElementsAre(Row{"1"}));
}

TEST_F(MigratedPool, SendsOnlyWhatIsIdempotentTwice) {
  server_.Psql("CREATE SEQUENCE runs; GRANT USAGE, SELECT ON SEQUENCE runs TO diceuser");
  config_.pool_size = 1;
  config_.check_interval = 1000s;
  OpenReady();
  // It runs, and then its own connection ends. A sequence keeps what a rollback takes back.
  Statement breaks = Select("SELECT nextval('runs'), pg_terminate_backend(pg_backend_pid())");
  EXPECT_TRUE(breaks.idempotent);
  EXPECT_EQ(ErrorOf(breaks), "database-unavailable");
  EXPECT_EQ(server_.Psql("SELECT last_value FROM runs"), "2");
  breaks.idempotent = false;
  EXPECT_EQ(ErrorOf(breaks), "database-unavailable");
  EXPECT_EQ(server_.Psql("SELECT last_value FROM runs"), "3");
  EXPECT_FALSE(kInsert.idempotent);
}

TEST_F(MigratedPool, SendsAgainWhatWasNotSent) {
  MakeNotes();
  config_.pool_size = 1;
  config_.check_interval = 1000s;
  OpenReady();
  ASSERT_TRUE(Full());
  ASSERT_EQ(server_.TerminateSessions("diceuser"), 1);
  EXPECT_EQ(ErrorOf(kInsert), "") << "it could not even be prepared";
  EXPECT_EQ(server_.Psql("SELECT count(*) FROM notes"), "1");
}

TEST_F(MigratedPool, EndsATransactionThatAStatementLeavesOpen) {
  MakeNotes();
  config_.pool_size = 1;
  OpenReady();
  const Rows session = Query(kSession);
  Statement begin = Select("BEGIN");
  begin.operation = "BEGIN";
  EXPECT_EQ(ErrorOf(begin), "database-error");
  EXPECT_THAT(AwaitLines("Database query failed").front()["reason"].Text(),
              HasSubstr("left a transaction open"));
  EXPECT_EQ(ErrorOf(kInsert), "");
  EXPECT_EQ(server_.Psql("SELECT count(*) FROM notes"), "1");
  EXPECT_EQ(Query(kSession), session);
  const Statement copy = Select("COPY notes TO STDOUT");
  EXPECT_EQ(ErrorOf(copy), "database-error");
  EXPECT_THAT(Lines("Database query failed").back()["reason"].Text(), HasSubstr("it was closed"));
  EXPECT_TRUE(Eventually([&] { return ErrorOf(kList).empty(); })) << "on another connection";
  EXPECT_EQ(Lines("Database connection lost").size(), 0u);
}

TEST_F(MigratedPool, FinishesWhatRunsBeforeItCloses) {
  config_.pool_size = 2;
  // Only queries take connections.
  config_.check_interval = 1000s;
  const std::size_t threads = Threads();
  OpenReady();
  ASSERT_TRUE(Full());
  Started cancelled(*this, kSleep, {"60"});
  Started sleeper(*this, kSleep, {"1"});
  ASSERT_TRUE(Eventually([this] { return Metric("database_connection_pool_available") == 0; }));
  Started waiting(*this, kList);
  cancelled.Cancel();
  Started late(*this, kSleep, {"1"});
  pool_->Close();
  EXPECT_EQ(sleeper.Finish(), "");
  EXPECT_THAT(waiting.Finish(), testing::AnyOf("", "database-unavailable"));
  EXPECT_THAT(late.Finish(), testing::AnyOf("", "database-unavailable"));
  EXPECT_EQ(ErrorOf(kList), "database-unavailable");
  EXPECT_EQ(Metric("database_connection_pool_size"), 0);
  EXPECT_EQ(Lines("Database connection pool closed").size(), 1u);
  EXPECT_TRUE(Eventually([this] {
    return server_.Psql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'diceuser'") == "0";
  }));
  pool_->Close();
  EXPECT_EQ(Lines("Database connection pool closed").size(), 1u);
  provider_.reset();
  EXPECT_TRUE(Eventually([&] { return Threads() == threads; }));
}

TEST_F(MigratedPool, TellsWhatWaitsThatItCloses) {
  config_.pool_size = 1;
  // Only queries take connections.
  config_.check_interval = 1000s;
  OpenReady();
  ASSERT_TRUE(Full());
  Started sleeper(*this, kSleep, {"1"});
  ASSERT_TRUE(Eventually([this] { return Metric("database_connection_pool_available") == 0; }));
  std::vector<std::unique_ptr<Started>> waiting;
  for (int i = 0; i < 20; ++i) waiting.push_back(std::make_unique<Started>(*this, kList));
  pool_->Close();
  for (const auto& query : waiting) EXPECT_EQ(query->Finish(), "database-unavailable");
  EXPECT_EQ(sleeper.Finish(), "");
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
