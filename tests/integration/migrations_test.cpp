#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "support/paths.h"
#include "support/postgres_server.h"
#include "support/temporary_file.h"

namespace {

namespace fs = std::filesystem;
using support::Environment;
using support::Eventually;
using support::Finished;
using support::PostgresServer;
using support::Process;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::string kMigrations = support::SourcePath("migrations");
constexpr const char* kThreeLines =
    "migrations: up 000001_create_dice\n"
    "migrations: up 000002_seed_dice\n"
    "migrations: up 000003_grant_reader\n"
    "migrations: the schema is at version 3\n";

/// A copy of the project's migrations that a test may spoil.
class Folder {
 public:
  Folder() : path_("/tmp/dicebox-migrations-XXXXXX") {
    mkdtemp(path_.data());
    fs::copy(kMigrations, path_);
  }
  ~Folder() { fs::remove_all(path_); }

  std::string apply() const { return path_ + "/apply"; }
  void Append(const std::string& file, const std::string& text) const {
    std::ofstream(path_ + "/" + file, std::ios::app) << text;
  }
  void Remove(const std::string& file) const { fs::remove(path_ + "/" + file); }

 private:
  std::string path_;
};

class Migrations : public testing::Test {
 protected:
  Finished Apply(const std::vector<std::string>& arguments = {}) const {
    return Run(kMigrations + "/apply", arguments);
  }
  Finished Run(const std::string& apply, const std::vector<std::string>& arguments = {}) const {
    std::vector<std::string> command = {apply};
    command.insert(command.end(), arguments.begin(), arguments.end());
    Environment environment = server_.Owner();
    environment["MIGRATE_WAIT"] = "2s";
    return support::RunToEnd(command, environment);
  }
  static Finished Psql(const Environment& login, const std::string& sql) {
    return support::RunToEnd({"psql", "-XqAt", "-c", sql}, login);
  }
  /// What `sql` answers as diceuser.
  std::string Read(const std::string& sql) const { return Psql(server_.Reader(), sql).output; }

  PostgresServer server_;
};

TEST_F(Migrations, CanBeAppliedAgain) {
  const Finished first = Apply();
  EXPECT_EQ(first.status, 0);
  EXPECT_EQ(first.output, kThreeLines);
  const Finished second = Apply({"up"});
  EXPECT_EQ(second.status, 0);
  EXPECT_EQ(second.output, "migrations: the schema is at version 3\n");
}

TEST_F(Migrations, TakeTurnsWhenTwoRunAtOnce) {
  const std::string apply = kMigrations + "/apply";
  Process one({apply}, server_.Owner());
  Process two({apply}, server_.Owner());
  EXPECT_EQ(one.Wait(), 0) << one.Errors();
  EXPECT_EQ(two.Wait(), 0) << two.Errors();
  EXPECT_EQ(one.Lines().size() + two.Lines().size(), 5u) << "three migrations and two closing lines";
  EXPECT_EQ(server_.Psql("SELECT count(*) FROM schema_migrations"), "3");
}

TEST_F(Migrations, GiveUpWhenTheLockIsNeverFree) {
  Process holder(
      {"psql", "-XqAtc", "SELECT pg_advisory_lock(hashtextextended('schema_migrations', 0)), pg_sleep(60)"},
      server_.Owner());
  ASSERT_TRUE(Eventually([this] {
    return server_.Psql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted") == "1";
  }));
  const Finished finished = Apply();
  EXPECT_NE(finished.status, 0);
  EXPECT_THAT(finished.output, HasSubstr("lock timeout"));
}

TEST_F(Migrations, AreRefusedWhenAnAppliedFileWasChanged) {
  const Folder folder;
  ASSERT_EQ(Run(folder.apply()).status, 0);
  folder.Append("000002_seed_dice.up.sql", "-- an afterthought\n");
  const Finished finished = Run(folder.apply());
  EXPECT_NE(finished.status, 0);
  EXPECT_THAT(finished.output, HasSubstr("migration 000002_seed_dice was changed after it was applied"));
  EXPECT_THAT(Run(folder.apply(), {"down", "1"}).output, HasSubstr("was changed after it was applied"));
  EXPECT_THAT(Run(folder.apply(), {"status"}).output,
              HasSubstr("000002_seed_dice applied, file changed since"));
}

TEST_F(Migrations, AreRefusedWhenAnAppliedFileIsMissing) {
  const Folder folder;
  ASSERT_EQ(Run(folder.apply()).status, 0);
  folder.Remove("000002_seed_dice.up.sql");
  const Finished finished = Run(folder.apply());
  EXPECT_NE(finished.status, 0);
  EXPECT_THAT(finished.output, HasSubstr("migration 000002_seed_dice is applied, but its file is missing"));
}

TEST_F(Migrations, KeepTheSchemaOfANewerRelease) {
  ASSERT_EQ(Apply().status, 0);
  const Folder older;
  older.Remove("000003_grant_reader.up.sql");
  const Finished finished = Run(older.apply());
  EXPECT_EQ(finished.status, 0);
  EXPECT_EQ(finished.output, "migrations: the schema is at version 3, newer than the files here\n");
  const Finished down = Run(older.apply(), {"down", "1"});
  EXPECT_NE(down.status, 0) << "the way back is in the newer release";
  EXPECT_THAT(down.output, HasSubstr("000003_grant_reader is applied, but its file is missing"));
}

TEST_F(Migrations, AreRefusedWhenThereIsNoWayBack) {
  const Folder folder;
  folder.Remove("000002_seed_dice.down.sql");
  const Finished finished = Run(folder.apply());
  EXPECT_NE(finished.status, 0);
  EXPECT_THAT(finished.output, HasSubstr("000002_seed_dice.up.sql has no 000002_seed_dice.down.sql"));
  EXPECT_EQ(server_.Psql("SELECT to_regclass('schema_migrations') IS NULL"), "t");
}

TEST_F(Migrations, LeaveNothingOfABrokenOne) {
  const Folder folder;
  folder.Append("000004_break.up.sql", "CREATE TABLE half (id INTEGER);\nSELECT no_such_column FROM half;\n");
  folder.Append("000004_break.down.sql", "DROP TABLE half;\n");
  const Finished finished = Run(folder.apply());
  EXPECT_NE(finished.status, 0);
  EXPECT_THAT(finished.output,
              HasSubstr("000004_break.up.sql:2: ERROR:  column \"no_such_column\" does not exist"));
  EXPECT_EQ(server_.Psql("SELECT max(version) FROM schema_migrations"), "3");
  EXPECT_EQ(server_.Psql("SELECT to_regclass('half') IS NULL"), "t");
}

TEST_F(Migrations, GoDownAndUpAgain) {
  ASSERT_EQ(Apply().status, 0);
  const Finished one = Apply({"down", "1"});
  EXPECT_EQ(one.output, "migrations: down 000003_grant_reader\nmigrations: the schema is at version 2\n");
  EXPECT_THAT(Apply({"status"}).output, HasSubstr("000003_grant_reader pending"));
  EXPECT_EQ(Apply({"down", "9"}).status, 0);
  EXPECT_EQ(
      server_.Psql("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN "
                   "('r', 'v') AND relname <> 'schema_migrations'"),
      "0");
  EXPECT_EQ(Apply().output, kThreeLines);
}

TEST_F(Migrations, TellTheirStatusBeforeAndAfter) {
  EXPECT_EQ(Apply({"status"}).output,
            "000001_create_dice pending\n000002_seed_dice pending\n000003_grant_reader pending\n");
  ASSERT_EQ(Apply().status, 0);
  EXPECT_THAT(Apply({"status"}).output,
              AllOf(HasSubstr("000003_grant_reader applied 20"), Not(HasSubstr("pending"))));
}

TEST_F(Migrations, ExplainTheirArguments) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"sideways"},
                                                    {"down"},
                                                    {"down", "0"},
                                                    {"down", "1; DROP TABLE x"},
                                                    {"up", "2"}}) {
    const Finished finished = Apply(arguments);
    EXPECT_EQ(finished.status, 1);
    EXPECT_THAT(finished.output, HasSubstr("usage: apply [up | down N | status]"));
  }
}

TEST_F(Migrations, WaitForTheServer) {
  server_.Stop();
  Environment environment = server_.Owner();
  environment["MIGRATE_WAIT"] = "60s";
  Process apply({kMigrations + "/apply"}, environment);
  EXPECT_FALSE(apply.Wait(std::chrono::milliseconds(500))) << apply.Errors();
  server_.Start();
  EXPECT_EQ(apply.Wait(), 0) << apply.Errors();
}

TEST_F(Migrations, SayWhyTheServerCannotBeReached) {
  server_.Stop();
  const Finished finished = Apply();
  EXPECT_NE(finished.status, 0);
  EXPECT_THAT(finished.output, AllOf(HasSubstr("no connection within 2s"), HasSubstr("Connection refused")));
}

TEST_F(Migrations, SayThatTheRolesAreMissing) {
  server_.Psql("REVOKE ALL ON DATABASE dicedb FROM diceuser; DROP ROLE diceuser");
  const Finished finished = Apply();
  EXPECT_NE(finished.status, 0);
  EXPECT_THAT(finished.output,
              AllOf(HasSubstr("role diceuser does not exist"), HasSubstr("migrations/roles")));
}

TEST_F(Migrations, AnswerTheQueriesOfBothDocuments) {
  server_.Migrate();
  EXPECT_EQ(Read("SELECT identifier, faces, error_rate FROM die_specifications ORDER BY identifier"),
            "extreme|{0,0,6,6,6,6}|0.5\nfair|{1,2,3,4,5,6}|0\nrisky|{2,3,4,5,6,7}|0.1\n");
  EXPECT_EQ(Read("SELECT * FROM dice WHERE name = 'extreme'"),
            "extreme|extreme|6|{\"0\": 0.3333333333333333, \"6\": 0.6666666666666666}|{0,0,6,6,6,6}|0.5\n");
  EXPECT_EQ(Read("SELECT id, name, sides, probabilities FROM dice WHERE name = 'none'"), "");
  EXPECT_THAT(Read("\\dt"), HasSubstr("die_specifications"));
}

TEST_F(Migrations, KeepExplicitProbabilities) {
  server_.Migrate();
  server_.Psql("INSERT INTO die_specifications VALUES ('loaded', '{1,6,6}', 0, '{\"1\": 0.1, \"6\": 0.9}')");
  EXPECT_EQ(Read("SELECT sides, probabilities FROM dice WHERE name = 'loaded'"),
            "3|{\"1\": 0.1, \"6\": 0.9}\n");
}

TEST_F(Migrations, RefuseDiceThatCannotBeRolled) {
  server_.Migrate();
  const std::pair<const char*, const char*> faults[] = {
      {"'no spaces', '{1}', 0, NULL", "identifier_is_a_name"},
      {"E'line\\n', '{1}', 0, NULL", "identifier_is_a_name"},
      {"'', '{1}', 0, NULL", "identifier_is_a_name"},
      {"'a', '{}', 0, NULL", "faces_are_a_list"},
      {"'a', '{{1,2}}', 0, NULL", "faces_are_a_list"},
      {"'a', array_fill(1, ARRAY[1001]), 0, NULL", "faces_are_a_list"},
      {"'a', '{1,NULL}', 0, NULL", "faces_are_numbers"},
      {"'a', '{1}', 1.1, NULL", "error_rate_is_a_fraction"},
      {"'a', '{1}', 'NaN', NULL", "error_rate_is_a_fraction"},
      {"'a', '{1}', 0, '[]'", "probabilities_are_an_object"},
      {"'a', '{1,2}', 0, '{\"1\": 1}'", "probabilities_name_each_face"},
      {"'a', '{1}', 0, '{\"1\": 1, \"2\": 1}'", "probabilities_name_each_face"},
      {"'a', '{1}', 0, '{\"1\": 2}'", "probabilities_are_fractions"},
      {"'a', '{1}', 0, '{\"1\": \"x\"}'", "probabilities_are_fractions"},
      {"'a', '{1}', 0, '{\"1\": [1]}'", "probabilities_are_fractions"},
      {"'a', '{1}', 0, '{\"1\": 0}'", "probabilities_sum_to_1"},
      {"'a', '{1,2}', 0, '{\"1\": 0.5, \"2\": 0.4}'", "probabilities_sum_to_1"},
  };
  for (const auto& [values, constraint] : faults) {
    const Finished finished =
        Psql(server_.Owner(), std::string("INSERT INTO die_specifications VALUES (") + values + ")");
    EXPECT_THAT(finished.output, HasSubstr(std::string("violates check constraint \"") + constraint))
        << values;
  }
  EXPECT_EQ(
      Psql(server_.Owner(), "INSERT INTO die_specifications VALUES ('a', array_fill(1, ARRAY[1000]), 1)")
          .status,
      0);
}

TEST_F(Migrations, GiveTheServiceNoRightToWrite) {
  server_.Migrate();
  for (const std::string statement :
       {"INSERT INTO die_specifications VALUES ('a', '{1}', 0)",
        "UPDATE die_specifications SET error_rate = 0", "UPDATE dice SET error_rate = 0",
        "DELETE FROM die_specifications", "TRUNCATE die_specifications", "CREATE TABLE mine (id INTEGER)",
        "CREATE TEMPORARY TABLE mine (id INTEGER)", "SELECT * FROM schema_migrations"}) {
    const Finished finished = Psql(server_.Reader(), statement);
    EXPECT_EQ(finished.status, 1) << statement;
    EXPECT_THAT(finished.output, HasSubstr("permission denied")) << statement;
  }
}

TEST_F(Migrations, LetTheExporterSeeActivityAndNoDice) {
  server_.Migrate();
  EXPECT_EQ(Psql(server_.Exporter(), "SELECT numbackends > 0 FROM pg_stat_database WHERE datname = 'dicedb'")
                .output,
            "t\n");
  EXPECT_THAT(Psql(server_.Exporter(), "SELECT * FROM dice").output, HasSubstr("permission denied"));
}

class Roles : public testing::Test {
 protected:
  Finished MakeRoles(Environment passwords) const {
    passwords.merge(server_.Superuser());
    return support::RunToEnd({kMigrations + "/roles"}, passwords);
  }
  bool LogsIn(const std::string& password) const {
    Environment login = server_.Reader();
    login["PGPASSWORD"] = password;
    return support::RunToEnd({"psql", "-Xqc", "SELECT 1"}, login).status == 0;
  }

  PostgresServer server_;
};

TEST_F(Roles, CanBeMadeAgainWithoutAPasswordInTheServersLog) {
  server_.Psql("ALTER SYSTEM SET log_statement = 'all'");
  server_.Psql("ALTER SYSTEM SET log_min_duration_statement = 0");
  server_.Psql("SELECT pg_reload_conf()");
  ASSERT_TRUE(Eventually([this] { return server_.Psql("SHOW log_statement") == "all"; }));
  const Finished finished = MakeRoles(PostgresServer::Passwords());
  EXPECT_EQ(finished.output, "roles: dicedb, diceowner, diceuser and exporter are in place\n");
  EXPECT_TRUE(LogsIn(PostgresServer::Password("diceuser")));
  EXPECT_THAT(server_.Log(), AllOf(HasSubstr("SHOW log_statement"), Not(HasSubstr("secret-of-"))));
}

TEST_F(Roles, TakeTurnsWhenSeveralRunAtOnce) {
  Environment environment = PostgresServer::Passwords();
  environment.merge(server_.Superuser());
  environment["DATABASE_NAME"] = "another";
  std::vector<std::unique_ptr<Process>> runs;
  for (int i = 0; i < 4; ++i) {
    runs.push_back(std::make_unique<Process>(std::vector<std::string>{kMigrations + "/roles"}, environment));
  }
  for (const auto& run : runs) EXPECT_EQ(run->Wait(), 0) << run->Errors();
}

TEST_F(Roles, TakeANewPasswordFromAFile) {
  const support::TemporaryFile file("it's $new\"\\\n");
  Environment passwords = PostgresServer::Passwords();
  passwords["DICEUSER_PASSWORD_FILE"] = file.path();
  EXPECT_EQ(MakeRoles(passwords).status, 0);
  EXPECT_TRUE(LogsIn("it's $new\"\\"));
  EXPECT_FALSE(LogsIn(PostgresServer::Password("diceuser")));
}

TEST_F(Roles, NameThePasswordThatIsMissing) {
  Environment passwords = PostgresServer::Passwords();
  passwords.erase("EXPORTER_PASSWORD");
  const Finished finished = MakeRoles(passwords);
  EXPECT_NE(finished.status, 0);
  EXPECT_EQ(finished.output, "roles: EXPORTER_PASSWORD is not set, and neither is EXPORTER_PASSWORD_FILE\n");
}

}  // namespace
