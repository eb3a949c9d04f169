#include "obs/config/config.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>

namespace obs::config {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""us;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Parser Over(std::map<std::string, std::string, std::less<>> variables) {
  return Parser([variables = std::move(variables)](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  });
}

TEST(Parser, ReadsEachTypeFromTheEnvironment) {
  Parser parser = Over({{"NAME", "x"},
                        {"COUNT", "7"},
                        {"RATIO", "0.25"},
                        {"PORT", "8111"},
                        {"WAIT", "250ms"},
                        {"STORE", "file"},
                        {"ON", "True"},
                        {"URL", "http://die-service:8109/"}});
  EXPECT_EQ(parser.String("NAME", "", ""), "x");
  EXPECT_EQ(parser.Integer("COUNT", 1, 0, 10, ""), 7);
  EXPECT_EQ(parser.Number("RATIO", 1, 0, 1, ""), 0.25);
  EXPECT_EQ(parser.Port("PORT", 0, ""), 8111);
  EXPECT_EQ(parser.Duration("WAIT", 1s, 0us, 10s, ""), 250ms);
  EXPECT_EQ(parser.Choice("STORE", "postgres", {"file", "postgres"}, ""), "file");
  EXPECT_TRUE(parser.Boolean("ON", false, ""));
  EXPECT_EQ(parser.Url("URL", "http://x", ""), "http://die-service:8109");
  EXPECT_THAT(parser.faults(), IsEmpty());
}

TEST(Parser, TakesAnEmptyValueAsNotSet) {
  Parser parser = Over({{"COUNT", ""}});
  EXPECT_EQ(parser.Integer("COUNT", 3, 0, 10, ""), 3);
  EXPECT_THAT(parser.faults(), IsEmpty());
}

TEST(Parser, ReportsEveryFaultWithTheNameTheRuleAndTheValue) {
  Parser parser =
      Over({{"COUNT", "11"}, {"WAIT", "250"}, {"PORT", "http"}, {"URL", "die-service"}, {"ON", "1"}});
  EXPECT_EQ(parser.Integer("COUNT", 3, 0, 10, ""), 3);
  EXPECT_EQ(parser.Duration("WAIT", 1s, 0us, 10s, ""), 1s);
  EXPECT_EQ(parser.Port("PORT", 80, ""), 80);
  EXPECT_EQ(parser.Url("URL", "http://x", ""), "http://x");
  EXPECT_FALSE(parser.Boolean("ON", false, ""));
  parser.Required("NEEDED", "");
  EXPECT_THAT(parser.faults(),
              ElementsAre("COUNT must be an integer from 0 to 10, but is '11'",
                          "WAIT must be a duration from 0 to 10s with a unit (us, ms, s, m), but is '250'",
                          "PORT must be an integer from 0 to 65535, but is 'http'",
                          "URL must be a URL such as http://host:port, but is 'die-service'",
                          "ON must be true or false, but is '1'", "NEEDED must be set"));
}

TEST(Parser, RefusesAUrlThatNobodyCouldCallOrThatHoldsAPassword) {
  for (const char* url : {"http://host:99999", "http://host:0", "http://host:abc", "http://:80",
                          "http://[::1", "http:///path", "ftp://host", "http://host?a"}) {
    Parser parser = Over({{"URL", url}});
    EXPECT_EQ(parser.Url("URL", "http://x", ""), "http://x") << url;
    EXPECT_THAT(parser.faults(), ElementsAre(testing::HasSubstr(url)));
  }
  Parser parser = Over({{"URL", "http://user:secret@host"}});
  parser.Url("URL", "http://x", "");
  EXPECT_THAT(parser.faults(), ElementsAre("URL must be a URL without a user's name and password"));
  EXPECT_EQ(Over({{"URL", "http://[::1]:80/base/"}}).Url("URL", "", ""), "http://[::1]:80/base");
}

TEST(Parser, RefusesWhatOnlyBeginsLikeANumberOrOverflows) {
  Parser parser = Over({{"A", "7x"}, {"B", "99999999999999999999"}, {"C", "-1s"}, {"D", "99999999999m"}});
  parser.Integer("A", 0, 0, 10, "");
  parser.Integer("B", 0, 0, 10, "");
  parser.Duration("C", 0us, 0us, 1s, "");
  parser.Duration("D", 0us, 0us, 1s, "");
  EXPECT_EQ(parser.faults().size(), 4U);
}

TEST(Parser, ListsEveryVariableWithItsDefault) {
  Parser parser = Over({});
  parser.Duration("DICE_ROLL_TIME", 5ms, 0us, 1s, "how long a roll takes");
  parser.Document("PGPASSWORD", "", "read by libpq");
  EXPECT_THAT(parser.Table(), HasSubstr("DICE_ROLL_TIME  5ms  how long a roll takes\n"));
  EXPECT_THAT(parser.Table(), HasSubstr("PGPASSWORD"));
}

TEST(HandleArguments, PrintsTheTableForHelpAndTheBuildForVersion) {
  const Program program{"die-service", "1.2.3", "Serves dice."};
  std::string help = "--help";
  std::string version = "--version";
  std::string typo = "--hlep";
  const auto run = [&](std::string& argument) {
    std::string name = "die-service";
    char* argv[] = {name.data(), argument.data()};
    HandleArguments(2, argv, program, "  PORT  8109  the port\n");
  };
  EXPECT_EXIT(run(help), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(run(version), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(run(typo), testing::ExitedWithCode(1), "unknown argument '--hlep'");
}

/// Makes `fd` one that takes no byte, as on a full disk.
void Fill(int fd) {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  dup2(full, fd);
}

/// Runs Main() as the program's own main() does, and ends with its status.
template <typename Read>
[[noreturn]] void RunMain(std::string argument, Read read) {
  std::string name = "die-service";
  char* argv[] = {name.data(), argument.data()};
  const int argc = argument.empty() ? 1 : 2;
  std::exit(Main<int>(
      argc, argv, {"die-service", "1.2.3", "Serves dice."}, read, +[](const int&) { return 0; }));
}

int ReadNothing(Parser& /*parser*/) { return 0; }
int ReadAFault(Parser& parser) {
  parser.Fault("PORT", "must be set");
  return 0;
}
int ThrowASentence(Parser& /*parser*/) { throw std::runtime_error("the file of secrets cannot be read"); }
int ThrowANumber(Parser& /*parser*/) { throw 7; }

TEST(Main, EndsWithStatusOneWhenItsAnswerCannotBeWritten) {
  for (const char* argument : {"--help", "--version"}) {
    EXPECT_EXIT((Fill(STDOUT_FILENO), RunMain(argument, &ReadNothing)), testing::ExitedWithCode(1),
                "die-service: standard output cannot be written: No space left on device");
  }
}

TEST(Main, EndsWithStatusOneWhenNobodyCanBeTold) {
  for (const char* argument : {"", "--help", "--nonsense"}) {
    EXPECT_EXIT((Fill(STDOUT_FILENO), Fill(STDERR_FILENO), RunMain(argument, &ReadAFault)),
                testing::ExitedWithCode(1), "");
    EXPECT_EXIT((Fill(STDOUT_FILENO), Fill(STDERR_FILENO), RunMain(argument, &ThrowASentence)),
                testing::ExitedWithCode(1), "");
  }
}

TEST(Main, SaysWhyTheConfigurationCannotBeRead) {
  for (const char* argument : {"", "--help"}) {
    EXPECT_EXIT(RunMain(argument, &ThrowASentence), testing::ExitedWithCode(1),
                "^die-service: the file of secrets cannot be read\n$");
    EXPECT_EXIT(RunMain(argument, &ThrowANumber), testing::ExitedWithCode(1), "^die-service: failed.*\n$");
  }
}

TEST(ExitOnFaults, PrintsAllFaultsAndExitsOne) {
  const Program program{"die-service", "1.2.3", ""};
  EXPECT_EXIT(ExitOnFaults(program, {"A must be set", "B must be set"}), testing::ExitedWithCode(1),
              "A must be set\n.*B must be set\n");
  ExitOnFaults(program, {});
}

}  // namespace
}  // namespace obs::config
