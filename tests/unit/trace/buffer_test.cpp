#include "obs/trace/buffer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "unit/trace/telemetry.h"

namespace obs::trace {
namespace {

using support::Json;
using testing::ElementsAre;
using testing::SizeIs;

const std::string kTrace(32, 'a');
const std::string kOther(32, 'b');

/// The numbers that were added as lines of a trace and are still there.
std::vector<int> LinesOf(const Buffer& buffer, std::string_view trace_id) {
  std::vector<int> numbers;
  for (const Json& line : Json::Parse(buffer.Find(trace_id))["logs"].Items()) {
    numbers.push_back(static_cast<int>(line["n"].Number()));
  }
  return numbers;
}

std::string Line(int n, std::size_t padding = 0) {
  return R"({"n":)" + std::to_string(n) + R"(,"p":")" + std::string(padding, 'x') + R"("})";
}

/// A `Span` message with nothing but a name.
std::string SpanNamed(const std::string& name) {
  return std::string{'\x2a', static_cast<char>(name.size())} + name;
}

TEST(Buffer, FindsWhatBelongsToATraceInTheOrderOfAdding) {
  Buffer buffer(10000);
  buffer.Add(Buffer::Kind::kLine, kTrace, Line(1));
  buffer.Add(Buffer::Kind::kSpan, kOther, SpanNamed("other"));
  buffer.Add(Buffer::Kind::kSpan, kTrace, SpanNamed("roll"));
  buffer.Add(Buffer::Kind::kLine, kTrace, Line(2));
  buffer.Add(Buffer::Kind::kSpan, kTrace, SpanNamed("GET"));
  const Json found = Json::Parse(buffer.Find(kTrace));
  const Json spans = found["resourceSpans"][0]["scopeSpans"][0]["spans"];
  ASSERT_THAT(spans.Items(), SizeIs(2));
  EXPECT_EQ(spans[std::size_t{0}]["name"].Text(), "roll");
  EXPECT_EQ(spans[std::size_t{1}]["name"].Text(), "GET");
  EXPECT_FALSE(found.Has("truncated"));
  EXPECT_THAT(LinesOf(buffer, kTrace), ElementsAre(1, 2));
}

TEST(Buffer, KnowsNothingOfOtherTraces) {
  Buffer buffer(10000);
  EXPECT_EQ(buffer.Find(kTrace), "");
  buffer.Add(Buffer::Kind::kLine, kOther, Line(1));
  EXPECT_EQ(buffer.Find(kTrace), "");
  EXPECT_EQ(buffer.Find(""), "");
}

TEST(Buffer, LetsTheOldestMakeRoomAndStaysWithinItsBytes) {
  constexpr std::size_t kCapacity = 1000;
  Buffer buffer(kCapacity);
  // Of many sizes, so that entries and their heads lie across the end of the memory at every place.
  for (int n = 0; n < 5000; ++n) {
    buffer.Add(Buffer::Kind::kLine, kTrace, Line(n, static_cast<std::size_t>(n * 7 % 83)));
    const std::vector<int> kept = LinesOf(buffer, kTrace);
    ASSERT_GE(kept.size(), std::min<std::size_t>(n + 1, 6));
    ASSERT_LE(kept.size(), kCapacity / 40);
    ASSERT_EQ(kept.back(), n);
    ASSERT_EQ(kept.front(), n + 1 - static_cast<int>(kept.size())) << "the newest, without a gap";
  }
}

TEST(Buffer, LeavesOutWhatWouldNotFit) {
  Buffer buffer(300);
  buffer.Add(Buffer::Kind::kLine, kTrace, Line(1));
  buffer.Add(Buffer::Kind::kLine, kTrace, Line(2, 300));
  EXPECT_THAT(LinesOf(buffer, kTrace), ElementsAre(1));
}

TEST(Buffer, TakesNoEntryWhoseTraceHasNoProperId) {
  Buffer buffer(1000);
  for (const std::string& id :
       {std::string(), std::string(31, 'a'), std::string(33, 'a'), std::string(32, 'x')}) {
    buffer.Add(Buffer::Kind::kLine, id, Line(1));
    EXPECT_EQ(buffer.Find(id), "");
  }
}

TEST(Buffer, FindsEveryOneOfManyTraces) {
  Buffer buffer(std::size_t{1} << 20);
  const auto id = [](int n) { return fmt::format("{:032x}", n); };
  for (int round = 0; round < 3; ++round) {
    for (int n = 1; n <= 2000; ++n) buffer.Add(Buffer::Kind::kLine, id(n), Line(10 * n + round));
  }
  for (int n = 1; n <= 2000; ++n) {
    ASSERT_THAT(LinesOf(buffer, id(n)), ElementsAre(10 * n, 10 * n + 1, 10 * n + 2));
  }
}

TEST(Buffer, AnswersWithNoMoreThanItIsAskedForAndKeepsTheNewest) {
  Buffer buffer(std::size_t{8} << 20);
  for (int n = 0; n < 5000; ++n) buffer.Add(Buffer::Kind::kLine, kTrace, Line(n, 1000));
  const std::string answer = buffer.Find(kTrace, 100'000);
  EXPECT_LE(answer.size(), 101'000u);
  EXPECT_GE(answer.size(), 98'000u);
  const Json found = Json::Parse(answer);
  EXPECT_TRUE(found["truncated"].True());
  const std::vector<Json> lines = found["logs"].Items();
  EXPECT_EQ(lines.back()["n"].Number(), 4999);
  EXPECT_EQ(lines.front()["n"].Number(), 5000 - static_cast<double>(lines.size()));
  EXPECT_LE(buffer.Find(kTrace).size(), Buffer::kDefaultAnswer + 1000);
}

// Many look-ups take less time than filling the buffer did; reading all of it for each would take a hundred
// times as long.
TEST(Buffer, IsNotReadAsAWholeForOneTrace) {
  constexpr int kEntries = 20'000;
  constexpr int kLookUps = 1000;
  Buffer buffer(std::size_t{32} << 20);
  const std::string line = Line(2, 900);
  const auto start = std::chrono::steady_clock::now();
  for (int n = 0; n < kEntries; ++n) {
    buffer.Add(Buffer::Kind::kLine, fmt::format("{:032x}", 1 + n / 10), line);
  }
  buffer.Add(Buffer::Kind::kLine, kOther, Line(1));
  const auto filled = std::chrono::steady_clock::now();
  const std::string absent(32, '0');
  std::size_t found = 0;
  for (int i = 0; i < kLookUps; ++i) found += buffer.Find(absent).size() + buffer.Find(kOther).size();
  const auto looked_up = std::chrono::steady_clock::now();
  EXPECT_EQ(found, kLookUps * buffer.Find(kOther).size());
  EXPECT_LT(looked_up - filled, 4 * (filled - start));
}

TEST(Buffer, IsReadWhileItIsWritten) {
  Buffer buffer(20000);
  std::vector<std::thread> writers;
  for (int i = 0; i < 3; ++i) {
    writers.emplace_back([&buffer] {
      for (int n = 0; n < 3000; ++n) buffer.Add(Buffer::Kind::kLine, kTrace, Line(n));
    });
  }
  for (int i = 0; i < 200; ++i) {
    const std::string found = buffer.Find(kTrace);
    EXPECT_TRUE(found.empty() || Json::Parse(found).IsObject());
  }
  for (std::thread& writer : writers) writer.join();
}

TEST(Buffer, GetsASpanInTheMomentItEnds) {
  Buffer buffer(100000);
  Telemetry telemetry({.service_name = "die-service", .exporter = "none"}, &buffer);
  Span parent = telemetry.Start("GET /roll");
  Span span = telemetry.provider().tracer().Start(
      "GET", Kind::kClient, parent.context(),
      {{"die.type", "a \"fair\" one"}, {"roll.index", 3}, {"share", 0.5}, {"ok", true}});
  EXPECT_EQ(buffer.Find(TraceId(span)), "");
  span.Fail("timeout", "too late");
  span.End();
  const Json resource_spans = Json::Parse(buffer.Find(TraceId(span)))["resourceSpans"][0];
  std::map<std::string, std::string> resource;
  for (const Json& attribute : resource_spans["resource"]["attributes"].Items()) {
    resource[attribute["key"].Text()] = attribute["value"].Text();
  }
  EXPECT_EQ(resource["service.name"], R"({"stringValue":"die-service"})");
  ASSERT_THAT(resource_spans["scopeSpans"][0]["spans"].Items(), SizeIs(1));
  const Json json = resource_spans["scopeSpans"][0]["spans"][0];
  EXPECT_EQ(json["traceId"].Text(), TraceId(span));
  EXPECT_EQ(json["spanId"].Text(), SpanId(span));
  EXPECT_EQ(json["parentSpanId"].Text(), SpanId(parent));
  EXPECT_EQ(json["name"].Text(), "GET");
  EXPECT_EQ(json["kind"].Number(), 3);
  EXPECT_EQ(json["status"].Text(), R"({"code":2,"message":"too late"})");
  EXPECT_TRUE(json["startTimeUnixNano"].IsString());
  EXPECT_GE(std::stoull(json["endTimeUnixNano"].Text()), std::stoull(json["startTimeUnixNano"].Text()));
  std::map<std::string, std::string> attributes;
  for (const Json& attribute : json["attributes"].Items()) {
    attributes[attribute["key"].Text()] = attribute["value"].Text();
  }
  EXPECT_EQ(attributes, (std::map<std::string, std::string>{
                            {"die.type", R"({"stringValue":"a \"fair\" one"})"},
                            {"roll.index", R"({"intValue":"3"})"},
                            {"share", R"({"doubleValue":0.5})"},
                            {"ok", R"({"boolValue":true})"},
                            {"error.type", R"({"stringValue":"timeout"})"},
                        }));
}

TEST(Buffer, GetsSpansBesideAnExporter) {
  Buffer buffer(100000);
  Telemetry telemetry({.exporter = "console", .schedule_delay = std::chrono::milliseconds(20)}, &buffer);
  const std::string trace_id = TraceId(telemetry.Start("roll"));
  ASSERT_TRUE(telemetry.provider().Shutdown(support::kPatience));
  EXPECT_NE(buffer.Find(trace_id), "");
  EXPECT_EQ(telemetry.Exported(), 1);
}

}  // namespace
}  // namespace obs::trace
