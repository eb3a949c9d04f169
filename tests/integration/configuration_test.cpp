// What a service says about its configuration, and how it refuses a bad one.
#include <gmock/gmock.h>

#include <map>
#include <string>
#include <vector>

#include "support/dice_system.h"
#include "support/parameter_name.h"

namespace {

using namespace support;  // NOLINT(google-build-using-namespace)
using testing::AllOf;
using testing::HasSubstr;

struct Outcome {
  int status = -1;
  std::string out;
  std::string err;
};

Outcome RunProgram(const std::vector<std::string>& command, const Environment& environment = {}) {
  Process process(command, environment);
  Outcome outcome;
  outcome.status = process.Wait().value_or(-1);
  for (const std::string& line : process.Lines()) outcome.out += line + "\n";
  outcome.err = process.Errors();
  return outcome;
}

class Configuration : public testing::TestWithParam<std::string> {
 protected:
  std::string program() const { return ProgramPath(GetParam()); }
};

TEST_P(Configuration, IsExplainedByHelp) {
  const Outcome outcome = RunProgram({program(), "--help"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr(GetParam()), HasSubstr("PORT"), HasSubstr("LOG_LEVEL"),
                                 HasSubstr("OTEL_EXPORTER_OTLP_ENDPOINT"), HasSubstr("DRAIN_DELAY")));
}

TEST_P(Configuration, TellsTheVersion) {
  const Outcome outcome = RunProgram({program(), "--version"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.out, testing::ContainsRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
}

TEST_P(Configuration, KnowsNoOtherArgument) {
  const Outcome outcome = RunProgram({program(), "--nonsense"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("--nonsense"));
}

TEST_P(Configuration, ReportsAllFaultsTogether) {
  const Outcome outcome = RunProgram({program()}, {{"PORT", "http"},
                                                   {"LOG_LEVEL", "LOUD"},
                                                   {"DRAIN_DELAY", "soon"},
                                                   {"HTTP_IO_THREADS", "-3"},
                                                   {"DIE_STORE", "stone"},
                                                   {"DIE_SERVICE_URL", "nowhere"},
                                                   {"DICE_ROLLER_URL", "ftp://x"},
                                                   {"DICE_ROLL_TIME", "5"}});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("PORT"), HasSubstr("LOG_LEVEL"), HasSubstr("DRAIN_DELAY"),
                                 HasSubstr("HTTP_IO_THREADS")));
  const std::map<std::string, std::vector<std::string>> own = {
      {"die-service", {"DIE_STORE"}},
      {"dice-roller", {"DIE_SERVICE_URL", "DICE_ROLL_TIME"}},
      {"frontend", {"DIE_SERVICE_URL", "DICE_ROLLER_URL"}},
  };
  for (const std::string& name : own.at(GetParam())) EXPECT_THAT(outcome.err, HasSubstr(name));
}

TEST_P(Configuration, IsRefusedWithStatusOneWhenNobodyCanBeTold) {
  const auto status = [this](const std::string& redirected) {
    return RunProgram({"sh", "-c", program() + redirected}, {{"PORT", "99999"}}).status;
  };
  EXPECT_EQ(status(" 2>/dev/full"), 1);
  EXPECT_EQ(status(" 2>&-"), 1);
  EXPECT_EQ(status(" --help >/dev/full"), 1);
  EXPECT_EQ(status(" --version >/dev/full"), 1);
  EXPECT_EQ(status(" --version 2>/dev/full"), 0);
}

TEST(ServiceName, IsTheSameInLogsAndMetricsAsInSpans) {
  DiceSystem system;
  system.die_service.Set("OTEL_SERVICE_NAME", "die-west");
  system.die_service.StartReady();
  EXPECT_EQ(system.die_service.process().WaitForLog("Listening")["service"].Text(), "die-west");
  EXPECT_EQ(system.die_service.Metric("target_info", {{"service_name", "die-west"}}), 1);
}

TEST_P(Configuration, NamesAPortInUseAndWhatToDo) {
  FakeServer other([](const FakeRequest&) { return FakeReply{}; });
  const std::string port = std::to_string(other.port());
  TemporaryFile dice(kTestDice);
  const Outcome outcome = RunProgram({program()}, {{"PORT", port},
                                                   {"HTTP_ADDRESS", "127.0.0.1"},
                                                   {"DIE_SPECIFICATIONS_FILE", dice.path()},
                                                   {"TELEMETRY_FLUSH_TIMEOUT", "100ms"}});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out + outcome.err, AllOf(HasSubstr(port), HasSubstr("PORT")));
}

INSTANTIATE_TEST_SUITE_P(Services, Configuration, testing::Values("die-service", "dice-roller", "frontend"),
                         ParameterName<std::string>);

struct BadFile {
  const char* name;
  const char* content;
  const char* entry;  ///< what the error names
  const char* rule;
};

class DiceFile : public testing::TestWithParam<BadFile> {};

TEST_P(DiceFile, IsRefusedNamingTheEntryAndTheRule) {
  TemporaryFile dice(GetParam().content);
  const Outcome outcome = RunProgram({ProgramPath("die-service")}, {{"PORT", "0"},
                                                                    {"DIE_STORE", "file"},
                                                                    {"DIE_SPECIFICATIONS_FILE", dice.path()},
                                                                    {"TELEMETRY_FLUSH_TIMEOUT", "100ms"}});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out + outcome.err, AllOf(HasSubstr(GetParam().entry), HasSubstr(GetParam().rule)));
}

INSTANTIATE_TEST_SUITE_P(
    Files, DiceFile,
    testing::Values(
        BadFile{"NoJson", "{\"fair\": ", "JSON", ""},
        BadFile{"NoFaces", R"({"odd": {"error_rate": 0}})", "odd", "faces"},
        BadFile{"EmptyFaces", R"({"odd": {"faces": [], "error_rate": 0}})", "odd", "faces"},
        BadFile{"FacesThatAreNoIntegers", R"({"odd": {"faces": [1.5], "error_rate": 0}})", "odd", "faces"},
        BadFile{"NoErrorRate", R"({"odd": {"faces": [1]}})", "odd", "error_rate"},
        BadFile{"ErrorRateAboveOne", R"({"odd": {"faces": [1], "error_rate": 1.1}})", "odd", "error_rate"},
        BadFile{"ErrorRateBelowZero", R"({"odd": {"faces": [1], "error_rate": -0.1}})", "odd", "error_rate"},
        BadFile{"ProbabilityOfNoFace",
                R"({"odd": {"faces": [1], "error_rate": 0, "probabilities": {"2": 1}}})", "odd",
                "probabilities"},
        BadFile{"NegativeProbability",
                R"({"odd": {"faces": [1, 2], "error_rate": 0, "probabilities": {"1": -1, "2": 2}}})", "odd",
                "probabilities"},
        BadFile{"ProbabilitiesOfZero",
                R"({"odd": {"faces": [1], "error_rate": 0, "probabilities": {"1": 0}}})", "odd",
                "probabilities"},
        BadFile{"BadName", R"({"o d": {"faces": [1], "error_rate": 0}})", "o d", ""}),
    ParameterName<BadFile>);

TEST(MissingDiceFile, IsNamed) {
  const Outcome outcome =
      RunProgram({ProgramPath("die-service")}, {{"PORT", "0"},
                                                {"DIE_STORE", "file"},
                                                {"DIE_SPECIFICATIONS_FILE", "/nonexistent/dice.json"},
                                                {"TELEMETRY_FLUSH_TIMEOUT", "100ms"}});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out + outcome.err, HasSubstr("/nonexistent/dice.json"));
}

TEST(PostgresStore, NeedsToKnowWhere) {
  const Outcome outcome =
      RunProgram({ProgramPath("die-service")}, {{"PORT", "0"}, {"DIE_STORE", "postgres"}});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("PGHOST"));
}

}  // namespace
