#include "obs/trace/buffer.h"

#include <algorithm>
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

TEST(Buffer, FindsWhatBelongsToATraceInTheOrderOfAdding) {
  Buffer buffer(10000);
  buffer.Add(Buffer::Kind::kLine, kTrace, Line(1));
  buffer.Add(Buffer::Kind::kSpan, kOther, R"({"name":"other"})");
  buffer.Add(Buffer::Kind::kSpan, kTrace, R"({"name":"roll"})");
  buffer.Add(Buffer::Kind::kLine, kTrace, Line(2));
  const Json found = Json::Parse(buffer.Find(kTrace));
  EXPECT_EQ(found["resourceSpans"][0]["scopeSpans"][0]["spans"].Text(), R"([{"name":"roll"}])");
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
