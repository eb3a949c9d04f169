// A log that nobody reads costs lines, never requests.
#include <gmock/gmock.h>

#include <string>

#include "support/dice_system.h"
#include "support/sanitized.h"

namespace {

using namespace support;  // NOLINT(google-build-using-namespace)
using testing::Gt;

void ExpectAnswers(ServiceUnderTest& service, int count) {
  HttpConnection connection(service.port());
  for (int i = 0; i < count; ++i) {
    const Stopwatch stopwatch;
    ASSERT_TRUE(connection.Request("GET", "/dice/fair"));
    const auto reply = connection.Read();
    ASSERT_TRUE(reply);
    ASSERT_EQ(reply->status, 200);
    ASSERT_LT(stopwatch.elapsed(), 1s);
  }
}

TEST(LogReader, ThatIsStuckBlocksNoRequestAndLosesCountedLines) {
  DiceSystem system;
  system.die_service.Set("TELEMETRY_FLUSH_TIMEOUT", "300ms");
  system.die_service.StartReady();
  system.die_service.process().StopReading();
  ExpectAnswers(system.die_service, 6000);  // two lines each: far more than pipe and buffer hold
  EXPECT_TRUE(Becomes([&] { return system.die_service.Metric("log_lines_dropped_total"); }, Gt(1000)));
  if (!kSanitized) {
    EXPECT_LT(system.die_service.process().resident_bytes(), 64u << 20);
  }
  const Stopwatch stopwatch;
  EXPECT_EQ(system.die_service.Stop(), 0);
  EXPECT_LT(stopwatch.elapsed(), 3s);
}

TEST(LogReader, ThatHasGoneEndsNothing) {
  DiceSystem system;
  system.die_service.StartReady();
  system.die_service.process().CloseOutput();
  ExpectAnswers(system.die_service, 500);
  EXPECT_TRUE(Becomes([&] { return system.die_service.Metric("log_lines_dropped_total"); }, Gt(500)));
  EXPECT_EQ(system.die_service.Stop(), 0);
}

TEST(LogReader, GetsEveryLineWhenItReads) {
  DiceSystem system;
  system.die_service.StartReady();
  ExpectAnswers(system.die_service, 1000);
  EXPECT_EQ(system.die_service.Metric("log_lines_dropped_total"), 0);
  EXPECT_EQ(system.die_service.Stop(), 0);
  int handled = 0;
  for (const Json& line : system.die_service.process().Logs()) {
    ASSERT_TRUE(line.IsObject());
    if (line["message"].Text() == "Request handled" && line["route"].Text() == "/dice/{die}") ++handled;
  }
  EXPECT_EQ(handled, 1000);
}

TEST(LogReader, SeesOnlyWhatTheLevelAsksFor) {
  DiceSystem system;
  system.die_service.Set("LOG_LEVEL", "WARN");
  system.die_service.StartReady();
  ExpectAnswers(system.die_service, 10);
  EXPECT_EQ(system.die_service.Stop(), 0);
  for (const Json& line : system.die_service.process().Logs()) {
    EXPECT_THAT(line["level"].Text(), testing::AnyOf("WARN", "ERROR")) << line;
  }
}

TEST(LogReader, CannotBeMisledByWhatACallerSends) {
  DiceSystem system;
  system.die_service.StartReady();
  system.die_service.Get("/dice/x%0A%7B%22level%22%3A%22ERROR%22%7D");
  system.die_service.Get("/%22%5C%FF%FE", {{"User-Agent", "\"}\x1b[31m\xff"}});
  system.die_service.Get("/dice", {{"traceparent", "\"\\"}});
  EXPECT_EQ(system.die_service.Stop(), 0);
  for (const std::string& line : system.die_service.process().Lines()) {
    EXPECT_TRUE(Json::Parse(line).IsObject()) << line;
    EXPECT_EQ(Json::Parse(line)["service"].Text(), "die-service");
  }
}

}  // namespace
