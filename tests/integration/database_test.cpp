// die-service on a PostgreSQL that comes, goes, hangs and refuses.
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "support/dice_system.h"

namespace {

using namespace support;  // NOLINT(google-build-using-namespace)
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

std::string TypeOf(const HttpReply& reply) { return reply.json()["type"].Text(); }

class Database : public testing::Test {
 protected:
  Database() {
    postgres.Migrate();
    system.UsePostgres(postgres);
    system.die_service.Set("DATABASE_CHECK_INTERVAL", "100ms");
  }
  ServiceUnderTest& die_service() { return system.die_service; }
  bool Unready() { return die_service().Get("/readyz").status == 503; }

  PostgresServer postgres;
  DiceSystem system;
};

/// Holds the table so that every query waits, until it is destroyed.
class TableLock {
  static constexpr char kHold[] =
      "SET application_name = 'table-lock'; BEGIN; LOCK TABLE die_specifications; SELECT pg_sleep(60)";

 public:
  explicit TableLock(const PostgresServer& postgres)
      : postgres_(postgres),
        session_({"psql", "--no-psqlrc", "--dbname", "dicedb", "--command", kHold}, postgres.Superuser()) {
    const std::string held =
        "SELECT count(*) FROM pg_locks WHERE relation = 'die_specifications'::regclass AND granted "
        "AND mode = 'AccessExclusiveLock'";
    EXPECT_TRUE(Eventually([&] { return postgres_.Psql(held) == "1"; })) << session_.Errors();
  }
  ~TableLock() {
    postgres_.Psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'table-lock'");
  }

 private:
  const PostgresServer& postgres_;
  Process session_;
};

TEST_F(Database, ServesTheDice) {
  die_service().StartReady();
  EXPECT_EQ(die_service().Get("/dice").body, R"({"dice":["extreme","fair","risky"]})");
  const Json die = die_service().Get("/dice/extreme").json();
  EXPECT_EQ(die["identifier"].Text(), "extreme");
  EXPECT_EQ(die["faces"].Text(), "[0,0,6,6,6,6]");
  EXPECT_EQ(die["error_rate"].Number(), 0.5);
  EXPECT_NEAR(die["probabilities"]["0"].Number(), 1.0 / 3, 1e-4);
  EXPECT_EQ(TypeOf(die_service().Get("/dice/unknown")), "urn:problem-type:die-not-found");
}

TEST_F(Database, AnswersTheSameAsTheFile) {
  postgres.Psql(
      "INSERT INTO die_specifications VALUES ('broken', '{1,2}', 1, NULL), "
      "('weighted', '{1,6}', 0, '{\"1\": 0, \"6\": 1}')");
  DiceSystem on_file;
  on_file.die_service.StartReady();
  die_service().StartReady();
  for (const char* target : {"/dice", "/dice/fair", "/dice/risky", "/dice/extreme", "/dice/broken",
                             "/dice/weighted", "/dice?identifier=weighted"}) {
    EXPECT_EQ(die_service().Get(target).body, on_file.die_service.Get(target).body) << target;
  }
}

TEST_F(Database, ShowsANewDieWithoutARestart) {
  die_service().StartReady();
  postgres.Psql("INSERT INTO die_specifications VALUES ('coin', '{0,1}', 0)");
  EXPECT_EQ(die_service().Get("/dice/coin").status, 200);
}

TEST_F(Database, IsReadByTheRoleThatCannotWrite) {
  die_service().StartReady();
  EXPECT_EQ(postgres.Psql("SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = 'dicedb' AND pid <> "
                          "pg_backend_pid() AND backend_type = 'client backend'"),
            "diceuser");
}

TEST_F(Database, IsAwaitedAtTheStart) {
  postgres.Stop();
  die_service().Start();
  EXPECT_TRUE(Unready());
  EXPECT_THAT(die_service().Get("/readyz").body, HasSubstr("database"));
  EXPECT_EQ(die_service().Get("/livez").status, 200);
  const HttpReply reply = die_service().Get("/dice/fair");
  EXPECT_EQ(reply.status, 503);
  EXPECT_THAT(TypeOf(reply),
              AnyOf("urn:problem-type:database-unavailable", "urn:problem-type:database-pool-exhausted"));
  EXPECT_FALSE(die_service().process().WaitForLog("Database connection failed").IsNull());
  postgres.Start();
  die_service().AwaitReady();
  EXPECT_EQ(die_service().Get("/dice/fair").status, 200);
  EXPECT_FALSE(die_service().process().WaitForLog("Database connection pool established").IsNull());
}

TEST_F(Database, MayStopAndStart) {
  system.Start();
  ASSERT_EQ(system.frontend.Get("/roll?die=fair").status, 200);
  postgres.Stop();
  EXPECT_TRUE(Eventually([&] { return Unready(); }));
  const HttpReply at_service = die_service().Get("/dice/fair");
  EXPECT_EQ(at_service.status, 503);
  EXPECT_THAT(TypeOf(at_service), HasSubstr("urn:problem-type:database-"));
  const HttpReply above = system.frontend.Get("/roll?die=fair");
  EXPECT_EQ(above.status, 503);
  EXPECT_EQ(TypeOf(above), "urn:problem-type:die-service-invalid");
  EXPECT_FALSE(die_service().process().WaitForLog("Database connection lost").IsNull());
  postgres.Start();
  die_service().AwaitReady();
  EXPECT_TRUE(Eventually([&] { return system.frontend.Get("/roll?die=fair").status == 200; }));
}

TEST_F(Database, MayCrash) {
  die_service().StartReady();
  postgres.Restart(PostgresServer::StopMode::kImmediate);
  EXPECT_TRUE(Eventually([&] { return die_service().Get("/dice/fair").status == 200; }));
}

TEST_F(Database, MayKillEveryConnectionUnnoticedByCallers) {
  die_service().StartReady();
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(Eventually([&] { return postgres.TerminateSessions("diceuser") > 0; }));
    EXPECT_EQ(die_service().Get("/dice/fair").status, 200);
    die_service().AwaitReady();
  }
}

TEST_F(Database, ThatIsSlowIsNotWaitedForForever) {
  die_service().Set("DATABASE_STATEMENT_TIMEOUT", "300ms");
  die_service().StartReady();
  {
    TableLock lock(postgres);
    const Stopwatch stopwatch;
    const HttpReply reply = die_service().Get("/dice/fair");
    EXPECT_LT(stopwatch.elapsed(), 2s);
    EXPECT_EQ(reply.status, 503);
    EXPECT_EQ(TypeOf(reply), "urn:problem-type:database-timeout");
  }
  EXPECT_EQ(die_service().Get("/dice/fair").status, 200);
}

TEST_F(Database, PoolMayBeExhausted) {
  die_service().Set("DATABASE_POOL_SIZE", "2");
  die_service().Set("DATABASE_POOL_TIMEOUT", "200ms");
  die_service().Set("DATABASE_STATEMENT_TIMEOUT", "10s");
  // The check needs a connection too.
  die_service().Set("DATABASE_CHECK_INTERVAL", "10m");
  die_service().StartReady();
  ASSERT_TRUE(Eventually([&] { return die_service().Metric("database_connection_pool_available") == 2; }));
  EXPECT_EQ(die_service().Metric("database_connection_pool_size"), 2);
  std::vector<HttpConnection> holders;
  {
    TableLock lock(postgres);
    for (int i = 0; i < 2; ++i) {
      holders.emplace_back(die_service().port());
      holders.back().Request("GET", "/dice/fair");
    }
    ASSERT_TRUE(Eventually([&] { return die_service().Metric("database_connection_pool_available") == 0; }));
    const Stopwatch stopwatch;
    const HttpReply reply = die_service().Get("/dice/fair");
    EXPECT_GE(stopwatch.elapsed(), 190ms);
    EXPECT_LT(stopwatch.elapsed(), 2s);
    EXPECT_EQ(reply.status, 503);
    EXPECT_EQ(TypeOf(reply), "urn:problem-type:database-pool-exhausted");
    EXPECT_FALSE(die_service().process().WaitForLog("Database connection pool exhausted").IsNull());
  }
  // Who waited for the table is served, and every connection comes back.
  for (HttpConnection& holder : holders) EXPECT_EQ(holder.Read().value_or(HttpReply{}).status, 200);
  EXPECT_TRUE(Eventually([&] { return die_service().Metric("database_connection_pool_available") == 2; }));
  EXPECT_EQ(die_service().Get("/dice/fair").status, 200);
}

TEST_F(Database, ThatStandsStillLeavesTheServiceAlive) {
  die_service().Set("DATABASE_POOL_SIZE", "2");
  die_service().Set("DATABASE_STATEMENT_TIMEOUT", "500ms");
  die_service().Set("DRAIN_TIMEOUT", "1s");
  die_service().StartReady();
  postgres.Freeze();
  std::vector<HttpConnection> stuck;
  for (int i = 0; i < 4; ++i) {
    stuck.emplace_back(die_service().port());
    stuck.back().Request("GET", "/dice/fair");
  }
  ASSERT_TRUE(Eventually([&] { return die_service().Metric("http_requests_in_progress") >= 4; }));
  for (const char* target : {"/livez", "/readyz", "/metrics"}) {
    const Stopwatch stopwatch;
    EXPECT_NE(die_service().Get(target).status, 0) << target;
    EXPECT_LE(stopwatch.elapsed(), 100ms) << target;
  }
  // The server itself cannot end a statement now: the client must.
  for (HttpConnection& connection : stuck) {
    const auto reply = connection.Read();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 503);
  }
  EXPECT_TRUE(Eventually([&] { return Unready(); }));
  postgres.Thaw();
  die_service().AwaitReady();
  EXPECT_EQ(die_service().Get("/dice/fair").status, 200);
}

TEST_F(Database, PasswordThatIsWrongIsAReasonToBeUnready) {
  die_service().Set("PGPASSWORD", "not-the-password");
  die_service().Start();
  EXPECT_TRUE(Unready());
  EXPECT_FALSE(die_service().process().WaitForLog("Database connection failed").IsNull());
  EXPECT_EQ(die_service().Stop(), 0);  // no line can follow
  for (const std::string& line : die_service().process().Lines()) {
    EXPECT_THAT(line, Not(HasSubstr("not-the-password")));
  }
}

TEST_F(Database, WithoutItsSchemaIsAReasonToBeUnready) {
  postgres.Psql("DROP VIEW dice");
  die_service().Start();
  ASSERT_FALSE(die_service().process().WaitForLog("Database connection pool established").IsNull());
  EXPECT_TRUE(Unready());
  postgres.Psql(
      "CREATE VIEW dice AS SELECT identifier AS id, identifier AS name, cardinality(faces) AS sides, "
      "probabilities, faces, error_rate FROM die_specifications; GRANT SELECT ON dice TO diceuser");
  die_service().AwaitReady();
}

TEST_F(Database, QueriesAreCountedAndLogged) {
  die_service().Set("LOG_LEVEL", "DEBUG");
  die_service().StartReady();
  die_service().Get("/dice");
  die_service().Get("/dice/fair");
  die_service().Get("/dice/unknown");
  const auto count = [&](const char* type, const char* result) {
    return die_service().Metric("database_queries_total", {{"query_type", type}, {"result", result}});
  };
  EXPECT_TRUE(Becomes([&] { return count("list", "success"); }, 1));
  EXPECT_TRUE(Becomes([&] { return count("get", "success"); }, 1));
  EXPECT_TRUE(Becomes([&] { return count("get", "not_found"); }, 1));
  EXPECT_EQ(die_service().Metric("database_query_duration_seconds_count", {{"query_type", "get"}}), 2);
  const Json line = die_service().process().WaitForLog("Database query executed");
  EXPECT_THAT(line["query_type"].Text(), AnyOf("get", "list"));
  EXPECT_TRUE(line["duration_ms"].IsNumber());
  EXPECT_TRUE(line.Has("trace_id"));
}

TEST_F(Database, IsCountedWithoutAnybodyAskingForIt) {
  die_service().StartReady();
  EXPECT_EQ(die_service().Metric("die_specifications_loaded"), 3);
  postgres.Psql("INSERT INTO die_specifications VALUES ('coin', '{0,1}', 0)");
  EXPECT_TRUE(Eventually([&] { return die_service().Metric("die_specifications_loaded") == 4; }));
}

TEST_F(Database, PoolIsClosedAtTheEnd) {
  die_service().StartReady();
  EXPECT_EQ(die_service().Stop(), 0);
  EXPECT_FALSE(die_service().process().WaitForLog("Database connection pool closed").IsNull());
  // The server notices a little later.
  EXPECT_TRUE(Becomes(
      [&] { return postgres.Psql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'diceuser'"); },
      "0"));
}

TEST_F(Database, GetsNoStatementThatACallerWrote) {
  die_service().StartReady();
  EXPECT_EQ(die_service().Get("/dice/x'%3B%20DROP%20TABLE%20die_specifications%3B--").status, 400);
  EXPECT_EQ(die_service().Get("/dice?identifier=x'%20OR%20'1'%3D'1").status, 400);
  EXPECT_EQ(postgres.Psql("SELECT count(*) FROM die_specifications"), "3");
}

}  // namespace
