#include "trace_view.h"

#include <gmock/gmock.h>

#include "support/json.h"

namespace frontend {
namespace {

using support::Json;
using testing::SizeIs;

constexpr const char* kTrace = "4bf92f3577b34da6a3ce929d0e0e4736";

/// As obs::trace::Buffer writes it, and as the specification of OTLP has it.
constexpr const char* kOtlp = R"({"resourceSpans":[{
  "resource":{"attributes":[{"key":"host.name","value":{"stringValue":"x"}},{"key":"service.name","value":{"stringValue":"frontend"}}]},
  "scopeSpans":[{"scope":{"name":"obs"},"spans":[{
    "traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","parentSpanId":"","name":"GET /roll","kind":2,
    "startTimeUnixNano":"1763740000000250500","endTimeUnixNano":"1763740000001250500",
    "attributes":[{"key":"a","value":{"stringValue":"text"}},{"key":"b","value":{"intValue":"7"}},
      {"key":"c","value":{"intValue":8}},{"key":"d","value":{"boolValue":true}},{"key":"e","value":{"doubleValue":0.5}},{"key":"f","value":{}}],
    "status":{"code":2,"message":"The roll failed."}}]}]}],
  "logs":[{"message":"Request handled","service":"frontend"}]})";

/// As Tempo's /api/traces writes it.
constexpr const char* kTempo = R"({"batches":[{
  "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"dice-roller"}}]},
  "instrumentationLibrarySpans":[{"instrumentationLibrary":{"name":"obs"},"spans":[{
    "traceId":"S/kvNXezTaajzpKdDg5HNg==","spanId":"APBnqgupArg=","parentSpanId":"APBnqgupArc=","name":"roll","kind":"SPAN_KIND_INTERNAL",
    "startTimeUnixNano":"1763740000000250500","endTimeUnixNano":"1763740000000250500","status":{"code":"STATUS_CODE_ERROR"}}]}]}]})";

TEST(TraceView, ReadsOtlp) {
  TraceView view(kTrace);
  EXPECT_TRUE(view.Add(kOtlp));
  const Json json = Json::Parse(view.Finish());
  EXPECT_EQ(json["trace_id"].Text(), kTrace);
  ASSERT_THAT(json["spans"].Items(), SizeIs(1));
  const Json span = json["spans"][0];
  EXPECT_EQ(span["service"].Text(), "frontend");
  EXPECT_EQ(span["id"].Text(), "00f067aa0ba902b7");
  EXPECT_EQ(span["parent"].Text(), "");
  EXPECT_EQ(span["name"].Text(), "GET /roll");
  EXPECT_EQ(span["kind"].Text(), "server");
  EXPECT_EQ(span["start_us"].Number(), 1763740000000250.5);
  EXPECT_EQ(span["duration_us"].Number(), 1000);
  EXPECT_TRUE(span["error"].True());
  EXPECT_EQ(span["message"].Text(), "The roll failed.");
  EXPECT_EQ(span["attributes"].Text(), R"({"a":"text","b":"7","c":"8","d":true,"e":0.5,"f":null})");
  EXPECT_EQ(json["logs"].Text(), R"([{"message":"Request handled","service":"frontend"}])");
  EXPECT_EQ(json["unreachable"].Text(), "[]");
}

TEST(TraceView, ReadsTempo) {
  TraceView view(kTrace);
  EXPECT_TRUE(view.Add(kTempo));
  const Json span = Json::Parse(view.Finish())["spans"][0];
  EXPECT_EQ(span["service"].Text(), "dice-roller");
  EXPECT_EQ(span["id"].Text(), "00f067aa0ba902b8");
  EXPECT_EQ(span["parent"].Text(), "00f067aa0ba902b7");
  EXPECT_EQ(span["kind"].Text(), "internal");
  EXPECT_EQ(span["duration_us"].Number(), 0);
  EXPECT_TRUE(span["error"].True());
  EXPECT_EQ(span["attributes"].Text(), "{}");
}

TEST(TraceView, PutsTogetherWhatSeveralSourcesKnow) {
  TraceView view(kTrace);
  EXPECT_TRUE(view.Add(kOtlp));
  EXPECT_TRUE(view.Add(kTempo));
  EXPECT_TRUE(view.Add(kTempo));
  view.AddUnreachable("die-service");
  const Json json = Json::Parse(view.Finish());
  EXPECT_THAT(json["spans"].Items(), SizeIs(2)) << "each span once";
  EXPECT_EQ(json["unreachable"].Text(), R"(["die-service"])");
}

/// As Loki's /loki/api/v1/query_range writes it.
constexpr const char* kLoki = R"({"status":"success","data":{"resultType":"streams","result":[
  {"stream":{"service_name":"frontend"},"values":[
    ["1763740000000250500","{\"message\":\"first\",\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\"}"],
    ["1763740000000250500","{\"message\":\"only mentions 4bf92f3577b34da6a3ce929d0e0e4736\",\"trace_id\":\"\"}"],
    ["1763740000000250500","4bf92f3577b34da6a3ce929d0e0e4736 is in a line that is no JSON"],["1763740000000250500"],7]},
  {"stream":{},"values":[
    ["1763740000000250501","{\"message\":\"second\",\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\"}",{"level":"INFO"}]]}]}})";

TEST(TraceView, TakesItsLinesFromALogStore) {
  TraceView view(kTrace);
  EXPECT_TRUE(view.AddStoredLines(kLoki));
  EXPECT_TRUE(view.AddStoredLines(kLoki)) << "each line once";
  const Json logs = Json::Parse(view.Finish())["logs"];
  ASSERT_THAT(logs.Items(), SizeIs(2));
  EXPECT_EQ(logs[0]["message"].Text(), "first");
  EXPECT_EQ(logs[1]["message"].Text(), "second");
}

TEST(TraceView, RefusesWhatIsNoAnswerOfALogStore) {
  for (const char* text :
       {"", "[]", "{}", "<h1>Bad gateway</h1>", R"({"data":{"resultType":"matrix","result":[]}})"}) {
    TraceView view(kTrace);
    EXPECT_FALSE(view.AddStoredLines(text)) << text;
  }
}

TEST(TraceView, RefusesWhatIsNoTrace) {
  for (const char* text : {"", "{", "[]", "null", "<h1>Bad gateway</h1>"}) {
    TraceView view(kTrace);
    EXPECT_FALSE(view.Add(text)) << text;
  }
}

TEST(TraceView, RefusesWhatIsNestedWithoutEnd) {
  constexpr std::size_t kLevels = 1'000'000;
  TraceView view(kTrace);
  EXPECT_FALSE(view.Add(std::string(kLevels, '[')));
  EXPECT_FALSE(view.Add(R"({"logs":)" + std::string(kLevels, '[') + std::string(kLevels, ']') + '}'));
  EXPECT_EQ(Json::Parse(view.Finish())["logs"].Text(), "[]");
}

TEST(TraceView, IsJsonWhateverTheMembersAre) {
  for (
      const char* text :
      {"{}", R"({"resourceSpans":7,"logs":{}})", R"({"batches":[3,{"scopeSpans":[{"spans":["x",{}]}]}]})",
       R"({"resourceSpans":[{"resource":{"attributes":[{"key":1}]},"scopeSpans":[{"spans":[{"spanId":"%%","attributes":[{"value":{"arrayValue":{"values":[]}}}]}]}]}]})"}) {
    TraceView view(kTrace);
    EXPECT_TRUE(view.Add(text)) << text;
    EXPECT_TRUE(Json::Parse(view.Finish()).IsObject()) << text;
  }
}

}  // namespace
}  // namespace frontend
