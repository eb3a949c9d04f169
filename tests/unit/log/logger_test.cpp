#include "obs/log/logger.h"

#include <gmock/gmock.h>

#include <array>
#include <ctime>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "obs/log/writer.h"
#include "support/eventually.h"
#include "support/json.h"
#include "support/memory_file.h"

namespace obs::log {
namespace {

using support::Json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// A logger whose lines can be read back.
class LoggerTest : public testing::Test {
 protected:
  /// Everything logged so far.
  std::string Text() {
    EXPECT_TRUE(writer_.Flush(support::kPatience));
    return file_.Text();
  }
  Json Line() {
    const Json line = Json::Parse(Text());
    EXPECT_TRUE(line.IsObject()) << Text();
    return line;
  }
  /// What the reader of a line sees of the string `value`.
  std::string Logged(std::string_view value) {
    EXPECT_TRUE(file_.Clear());
    logger_.Info("message", {{"value", value}});
    return Line()["value"].Text();
  }

  support::MemoryFile file_;
  Writer writer_{file_.fd()};
  Logger logger_{writer_, "die-service", Level::kInfo};
};

Correlation SomeSpan() {
  Correlation correlation;
  std::string_view("0af7651916cd43dd8448eb211c80319c").copy(correlation.trace_id.data(), 32);
  std::string_view("b7ad6b7169203331").copy(correlation.span_id.data(), 16);
  correlation.trace_flags = 1;
  return correlation;
}

TEST_F(LoggerTest, WritesOneObjectALineInAFixedOrder) {
  logger_.With(SomeSpan()).Warn("slow query", {{"rows", 3}, {"query", "list"}});
  EXPECT_THAT(
      Text(),
      MatchesRegex(R"(\{"timestamp":"[^"]*","level":"WARN","message":"slow query","service":"die-service",)"
                   R"("trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331",)"
                   R"("trace_flags":"01","rows":3,"query":"list"\})"
                   "\n"));
}

TEST_F(LoggerTest, StampsTheTimeInUtcWithMicroseconds) {
  const std::time_t before = std::time(nullptr);
  logger_.Info("now");
  const std::string timestamp = Line()["timestamp"].Text();
  EXPECT_THAT(timestamp, MatchesRegex("....-..-..T..:..:..\\.......Z"));
  std::tm calendar{};
  ASSERT_NE(strptime(timestamp.c_str(), "%Y-%m-%dT%H:%M:%S", &calendar), nullptr);
  EXPECT_NEAR(static_cast<double>(timegm(&calendar)), static_cast<double>(before), 2);
  EXPECT_EQ(timestamp.find_first_not_of("0123456789", 20), 26u) << timestamp;
}

TEST_F(LoggerTest, LeavesTheTraceOutWhereThereIsNone) {
  logger_.Info("started");
  EXPECT_THAT(Line().Names(), ElementsAre("timestamp", "level", "message", "service"));
}

TEST_F(LoggerTest, WritesOnlyFromTheMinimumLevelUp) {
  logger_.Debug("d");
  logger_.Info("i");
  logger_.Error("e");
  EXPECT_FALSE(logger_.enabled(Level::kDebug));
  EXPECT_TRUE(logger_.enabled(Level::kError));
  EXPECT_THAT(Text(), MatchesRegex("[^\n]*\"INFO\"[^\n]*\n[^\n]*\"ERROR\"[^\n]*\n"));
}

TEST_F(LoggerTest, KeepsTheTypesOfValues) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  logger_.Info("values",
               {{"yes", true},
                {"least", std::numeric_limits<std::int64_t>::min()},
                {"most", std::numeric_limits<std::uint64_t>::max()},
                {"middle", std::uint64_t{std::numeric_limits<std::int64_t>::max()} + 1},
                {"unsigned", 7u},
                {"half", 0.5},
                {"tenth", 0.1},
                {"large", 1e300},
                {"infinite", kInfinity},
                {"nan", std::numeric_limits<double>::quiet_NaN()},
                {"text", std::string("a string that is too long to be kept without an allocation")}});
  EXPECT_THAT(Text(), HasSubstr(R"("yes":true,"least":-9223372036854775808,)"
                                R"("most":18446744073709551615,"middle":9223372036854775808,"unsigned":7,)"
                                R"("half":0.5,"tenth":0.1,"large":1e+300,)"
                                R"("infinite":null,"nan":null,)"
                                R"("text":"a string that is too long to be kept without an allocation"})"));
}

TEST_F(LoggerTest, EscapesWhatJsonDoesNotAllow) {
  const std::string all = [] {
    std::string characters;
    for (char c = 0; c < 0x7F; ++c) characters += c;
    return characters + '\x7F';
  }();
  EXPECT_EQ(Logged(all), all);
  const std::string line = Text();
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_EQ(line.find('\t'), std::string::npos);
}

TEST_F(LoggerTest, EscapesWhatWouldCommandATerminalOrTurnTheLineAround) {
  struct Case {
    std::string_view character;
    std::string_view escaped;
  };
  constexpr std::array kCases = {
      Case{"\x1B", "\\u001b"},         Case{"\x7F", "\\u007f"},         Case{"\xC2\x80", "\\u0080"},
      Case{"\xC2\x9B", "\\u009b"},     Case{"\xC2\x9F", "\\u009f"},     Case{"\xD8\x9C", "\\u061c"},
      Case{"\xE2\x80\x8E", "\\u200e"}, Case{"\xE2\x80\x8F", "\\u200f"}, Case{"\xE2\x80\xA8", "\\u2028"},
      Case{"\xE2\x80\xA9", "\\u2029"}, Case{"\xE2\x80\xAA", "\\u202a"}, Case{"\xE2\x80\xAE", "\\u202e"},
      Case{"\xE2\x81\xA6", "\\u2066"}, Case{"\xE2\x81\xA9", "\\u2069"}};
  for (const Case& each : kCases) {
    const std::string text = "a" + std::string(each.character) + "b";
    EXPECT_EQ(Logged(text), text);
    EXPECT_THAT(Text(), HasSubstr("\"a" + std::string(each.escaped) + "b\""));
  }
  for (const std::string_view neighbour :
       {"~", "\xC2\xA0", "\xD8\x9B", "\xD8\x9D", "\xE2\x80\x8D", "\xE2\x80\x90", "\xE2\x80\xA7",
        "\xE2\x80\xAF", "\xE2\x81\xA5", "\xE2\x81\xAA", "\xE2\x82\xAC"}) {
    EXPECT_EQ(Logged(neighbour), neighbour);
    EXPECT_THAT(Text(), HasSubstr("\"" + std::string(neighbour) + "\"")) << "as it is";
  }
}

TEST_F(LoggerTest, EscapesMessagesKeysAndTheService) {
  const Logger logger(writer_, "a\"b", Level::kInfo);
  logger.Info("c\nd", {{"e\\f", 1}});
  const Json line = Line();
  EXPECT_EQ(line["service"].Text(), "a\"b");
  EXPECT_EQ(line["message"].Text(), "c\nd");
  EXPECT_EQ(line["e\\f"].Number(), 1);
}

TEST_F(LoggerTest, KeepsTextInAnyLanguage) {
  for (const std::string_view text :
       {"Würfel", "кости", "骰子", "🎲", "\x7F", "\xC2\x80", "\xED\x9F\xBF", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_EQ(Logged(text), text);
  }
}

TEST_F(LoggerTest, ReplacesBytesThatAreNotUtf8) {
  for (const std::string_view bad : {"\x80", "\xBF", "\xC0", "\xC1", "\xF5", "\xFF", "\xC3", "\xE9"}) {
    const std::string text = "a" + std::string(bad) + "b";
    EXPECT_EQ(Logged(text), "a" + std::string(kReplacement) + "b");
  }
  struct Case {
    std::string_view what;
    std::string_view bytes;
  };
  for (const Case& bad : {Case{"overlong slash", "\xE0\x80\xAF"}, Case{"surrogate", "\xED\xA0\x80"},
                          Case{"cut euro sign and one more", "\xE2\x82\xFF"}}) {
    EXPECT_EQ(Logged(bad.bytes),
              std::string(kReplacement) + std::string(kReplacement) + std::string(kReplacement))
        << bad.what;
  }
  EXPECT_EQ(Logged("\xF4\x90\x80\x80").size(), 4 * kReplacement.size()) << "beyond U+10FFFF";
  EXPECT_EQ(Logged("end \xF0\x9F\x8E").size(), 4 + 3 * kReplacement.size()) << "ends within a character";
}

TEST_F(LoggerTest, CutsLongStringsBetweenCharacters) {
  EXPECT_EQ(Logged(std::string(4096, 'x')), std::string(4096, 'x'));
  EXPECT_EQ(Logged(std::string(5000, 'x')), std::string(4096, 'x'));
  const std::string filled(4094, 'x');
  EXPECT_EQ(Logged(filled + "🎲"), filled);
  EXPECT_EQ(Logged(filled + "€"), filled);
  EXPECT_EQ(Logged(filled + "ü"), filled + "ü");
}

TEST_F(LoggerTest, SpeaksForOneSpanAtATime) {
  const Logger spoken = logger_.With(SomeSpan());
  spoken.With(Correlation()).Info("no span");
  EXPECT_FALSE(Line().Has("trace_id"));
}

TEST_F(LoggerTest, ShowsAnObserverTheLinesAboutSpans) {
  std::vector<std::string> seen;
  const Logger logger(writer_, "die-service", Level::kInfo,
                      [&seen](const Correlation& correlation, std::string_view line) {
                        seen.push_back(std::string(correlation.trace_id_view()) + std::string(line));
                      });
  logger.Info("of nobody");
  logger.With(SomeSpan()).Debug("below the level");
  logger.With(SomeSpan()).Info("of a span");
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].substr(0, 32), SomeSpan().trace_id_view());
  EXPECT_NE(Text().find(seen[0].substr(32) + "\n"), std::string::npos) << "as it was written";
}

}  // namespace
}  // namespace obs::log
