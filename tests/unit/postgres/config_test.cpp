#include "obs/config/config.h"

#include <gmock/gmock.h>

#include <map>
#include <string>

#include "obs/postgres/pool.h"

namespace obs::postgres {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

config::Parser ParserOver(std::map<std::string, std::string> variables) {
  return config::Parser(
      [variables = std::move(variables)](std::string_view name) -> std::optional<std::string> {
        const auto found = variables.find(std::string(name));
        if (found == variables.end()) return std::nullopt;
        return found->second;
      });
}

bool OldAttributes(const std::string& opt_in) {
  auto parser = ParserOver({{"OTEL_SEMCONV_STABILITY_OPT_IN", opt_in}});
  return ReadConfig(parser).old_attributes;
}

TEST(Config, ReadsTheEnvironment) {
  auto parser = ParserOver({{"PGHOST", "db"},
                            {"PGPORT", "5433"},
                            {"PGDATABASE", "dicedb"},
                            {"PGUSER", "diceuser"},
                            {"DATABASE_POOL_SIZE", "4"},
                            {"DATABASE_POOL_QUEUE", "50"},
                            {"DATABASE_POOL_TIMEOUT", "250ms"},
                            {"DATABASE_STATEMENT_TIMEOUT", "3s"},
                            {"DATABASE_CONNECT_TIMEOUT", "1500ms"},
                            {"DATABASE_CHECK_INTERVAL", "5s"}});
  const Config config = ReadConfig(parser, true);
  EXPECT_THAT(parser.faults(), IsEmpty());
  EXPECT_EQ(config.host, "db");
  EXPECT_EQ(config.port, 5433);
  EXPECT_EQ(config.database, "dicedb");
  EXPECT_EQ(config.user, "diceuser");
  EXPECT_EQ(config.pool_size, 4u);
  EXPECT_EQ(config.max_waiting, 50u);
  EXPECT_EQ(config.acquire_timeout, 250ms);
  EXPECT_EQ(config.statement_timeout, 3s);
  EXPECT_EQ(config.connect_timeout, 2s) << "libpq counts whole seconds";
  EXPECT_EQ(config.check_interval, 5s);
  EXPECT_TRUE(config.old_attributes);
}

TEST(Config, NamesWhatIsMissingWhenADatabaseIsRequired) {
  auto parser = ParserOver({});
  ReadConfig(parser, true);
  EXPECT_THAT(parser.faults(),
              ElementsAre(HasSubstr("PGHOST"), HasSubstr("PGDATABASE"), HasSubstr("PGUSER")));
  auto optional = ParserOver({});
  ReadConfig(optional);
  EXPECT_THAT(optional.faults(), IsEmpty());
}

TEST(Config, ListsThePasswordWithoutReadingIt) {
  auto parser = ParserOver({{"PGPASSWORD", "hunter2"}});
  ReadConfig(parser);
  EXPECT_THAT(parser.Table(), testing::AllOf(HasSubstr("PGPASSWORD"), testing::Not(HasSubstr("hunter2"))));
}

TEST(Config, FollowsTheOptInOfTheSemanticConventions) {
  EXPECT_TRUE(OldAttributes(""));
  EXPECT_TRUE(OldAttributes("http"));
  EXPECT_TRUE(OldAttributes("http,database/dup"));
  EXPECT_FALSE(OldAttributes("database"));
  EXPECT_FALSE(OldAttributes("http, database"));
}

}  // namespace
}  // namespace obs::postgres
