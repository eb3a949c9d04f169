#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>

#include <limits>

#include "support/fake_server.h"
#include "unit/trace/telemetry.h"

namespace obs::trace {
namespace {

using support::Json;
using testing::SizeIs;

/// Reads a request by the descriptors that OpenTelemetry's own library brings along, and gives it as the JSON
/// that protobuf maps it to. Null when it is not one.
Json DecodeRequest(const std::string& bytes) {
  const auto* type = google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(
      "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest");
  if (type == nullptr) {
    ADD_FAILURE() << "the library with OpenTelemetry's protocol is not linked";
    return {};
  }
  const std::unique_ptr<google::protobuf::Message> message(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
  std::string json;
  if (!message->ParseFromString(bytes) ||
      !google::protobuf::util::MessageToJsonString(*message, &json).ok()) {
    return {};
  }
  EXPECT_EQ(message->GetReflection()->GetUnknownFields(*message).field_count(), 0);
  return Json::Parse(json);
}

class OtlpTest : public testing::Test {
 protected:
  /// The one `ScopeSpans` of the one request.
  Json Sent() {
    EXPECT_TRUE(telemetry_.provider().Shutdown(support::kPatience));
    const auto requests = server_.requests();
    EXPECT_THAT(requests, SizeIs(1));
    const Json resource_spans = DecodeRequest(requests.at(0).body)["resourceSpans"];
    EXPECT_THAT(resource_spans.Items(), SizeIs(1));
    const Json scope_spans = resource_spans[std::size_t{0}]["scopeSpans"];
    EXPECT_THAT(scope_spans.Items(), SizeIs(1));
    return scope_spans[std::size_t{0}];
  }
  Json SentSpan() {
    const Json spans = Sent()["spans"];
    EXPECT_THAT(spans.Items(), SizeIs(1));
    return spans[std::size_t{0}];
  }

  /// As {"intValue":"-7"}.
  static std::string Value(const Json& span, const std::string& key) {
    for (const Json& attribute : span["attributes"].Items()) {
      if (attribute["key"].Text() == key) return attribute["value"].Text();
    }
    return "(none)";
  }

  support::FakeServer server_{[](const support::FakeRequest&) { return support::FakeReply{.body = ""}; }};
  /// What is kept of `attributes` under `limits`, as the one span that is sent.
  Json SentWithin(const SpanLimits& limits, Attributes attributes, const std::vector<Attribute>& later = {}) {
    Config config;
    config.limits = limits;
    config.otlp_endpoint = server_.url() + "/v1/traces";
    Telemetry telemetry(config);
    {
      Span span = telemetry.Start("roll", {}, attributes);
      for (const Attribute& attribute : later) span.Set(attribute);
    }
    EXPECT_TRUE(telemetry.provider().Shutdown(support::kPatience));
    const Json request = DecodeRequest(server_.requests().back().body);
    return request["resourceSpans"][std::size_t{0}]["scopeSpans"][std::size_t{0}]["spans"][std::size_t{0}];
  }

  Telemetry telemetry_{Config{.service_name = "die-service",
                              .service_version = "1.2.3",
                              .otlp_endpoint = server_.url() + "/v1/traces"}};
};

TEST_F(OtlpTest, EncodesEveryTypeOfAttribute) {
  telemetry_.Start("roll", {},
                   {{"text", "fair"},
                    {"empty", ""},
                    {"yes", true},
                    {"no", false},
                    {"zero", 0},
                    {"negative", -7},
                    {"least", std::numeric_limits<std::int64_t>::min()},
                    {"most", std::numeric_limits<std::int64_t>::max()},
                    {"share", -0.125}});
  const Json span = SentSpan();
  EXPECT_THAT(span["attributes"].Items(), SizeIs(9));
  EXPECT_EQ(Value(span, "text"), R"({"stringValue":"fair"})");
  EXPECT_EQ(Value(span, "empty"), R"({"stringValue":""})");
  EXPECT_EQ(Value(span, "yes"), R"({"boolValue":true})");
  EXPECT_EQ(Value(span, "no"), R"({"boolValue":false})");
  EXPECT_EQ(Value(span, "zero"), R"({"intValue":"0"})");
  EXPECT_EQ(Value(span, "negative"), R"({"intValue":"-7"})");
  EXPECT_EQ(Value(span, "least"), R"({"intValue":"-9223372036854775808"})");
  EXPECT_EQ(Value(span, "most"), R"({"intValue":"9223372036854775807"})");
  EXPECT_EQ(Value(span, "share"), R"({"doubleValue":-0.125})");
}

TEST_F(OtlpTest, EncodesIdentityStatusAndScope) {
  const Context parent =
      telemetry_.Extract({{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
                          {"tracestate", "congo=1"}});
  telemetry_.provider().tracer().Start("GET", Kind::kClient, parent).Fail("timeout", "too late");
  const Json scope_spans = Sent();
  EXPECT_EQ(scope_spans["scope"].Text(), R"({"name":"obs","version":"1.2.3"})");
  const Json span = scope_spans["spans"][std::size_t{0}];
  EXPECT_EQ(span["traceId"].Text(), "CvdlGRbNQ92ESOshHIAxnA==") << "base64 of the parent's";
  EXPECT_EQ(span["parentSpanId"].Text(), "t61rcWkgMzE=") << "base64 of the parent's";
  EXPECT_EQ(span["spanId"].Text().size(), 12u);
  EXPECT_EQ(span["traceState"].Text(), "congo=1");
  EXPECT_EQ(span["name"].Text(), "GET");
  EXPECT_EQ(span["kind"].Text(), "SPAN_KIND_CLIENT");
  EXPECT_EQ(span["status"].Text(), R"({"message":"too late","code":"STATUS_CODE_ERROR"})");
  EXPECT_LE(std::stoull(span["startTimeUnixNano"].Text()), std::stoull(span["endTimeUnixNano"].Text()));
}

TEST_F(OtlpTest, SendsTheLatestValueOfAKeyOnce) {
  {
    Span span = telemetry_.Start("roll", {}, {{"a", "first"}, {"b", "kept"}, {"c", 1}});
    span.Set({"a", "second, and longer"});
    span.Set({"c", 2});
  }
  const Json span = SentSpan();
  EXPECT_THAT(span["attributes"].Items(), SizeIs(3));
  EXPECT_EQ(Value(span, "a"), R"({"stringValue":"second, and longer"})");
  EXPECT_EQ(Value(span, "b"), R"({"stringValue":"kept"})");
  EXPECT_EQ(Value(span, "c"), R"({"intValue":"2"})");
}

TEST_F(OtlpTest, MakesTextValidUtf8AndBoundsIt) {
  const std::string longest(4095, 'x');
  const std::string too_long = longest + "\xc3\xa4";
  telemetry_
      .Start("name\xff", {},
             {{"broken", "a\xff\xc3"}, {"kept", "W\xc3\xbcrfel"}, {"long", std::string_view(too_long)}})
      .Fail("type", "why\xff");
  const Json span = SentSpan();
  EXPECT_EQ(span["name"].Text(), "name\xEF\xBF\xBD");
  EXPECT_EQ(Value(span, "broken"), "{\"stringValue\":\"a\xEF\xBF\xBD\xEF\xBF\xBD\"}");
  EXPECT_EQ(Value(span, "kept"), "{\"stringValue\":\"W\xc3\xbcrfel\"}");
  EXPECT_EQ(Value(span, "long"), "{\"stringValue\":\"" + longest + "\"}");
  EXPECT_EQ(span["status"]["message"].Text(), "why\xEF\xBF\xBD");
}

TEST_F(OtlpTest, DropsAndCountsNewKeysBeyondTheLimit) {
  const Json span = SentWithin({.attributes = 2}, {{"a", 1}, {"b", 2}, {"c", 3}}, {{"b", 4}, {"d", 5}});
  EXPECT_THAT(span["attributes"].Items(), SizeIs(2));
  EXPECT_EQ(Value(span, "a"), R"({"intValue":"1"})");
  EXPECT_EQ(Value(span, "b"), R"({"intValue":"4"})") << "the latest value of a key that there is";
  EXPECT_EQ(span["droppedAttributesCount"].Text(), "2");
}

TEST_F(OtlpTest, KeepsNoAttributeWhenTheLimitIsZero) {
  const Json span = SentWithin({.attributes = 0}, {{"a", 1}, {"b", 2}});
  EXPECT_TRUE(span["attributes"].IsNull());
  EXPECT_EQ(span["droppedAttributesCount"].Text(), "2");
}

TEST_F(OtlpTest, CutsAttributesAtACharacter) {
  const std::string too_long(5000, 'x');
  const Json span = SentWithin({.attribute_length = 3}, {{"four", "W\xc3\xbcrf"},
                                                         {"three", "\xc3\xbc\xc3\xbc\xc3\xbc"},
                                                         {"broken", "\xff\xff\xff\xff"},
                                                         {"number", 12345}});
  EXPECT_EQ(Value(span, "four"), "{\"stringValue\":\"W\xc3\xbcr\"}");
  EXPECT_EQ(Value(span, "three"), "{\"stringValue\":\"\xc3\xbc\xc3\xbc\xc3\xbc\"}");
  EXPECT_EQ(Value(span, "broken"), "{\"stringValue\":\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"}");
  EXPECT_EQ(Value(span, "number"), R"({"intValue":"12345"})");
  const Json wide = SentWithin({.attribute_length = 100'000}, {{"long", std::string_view(too_long)}});
  EXPECT_EQ(Value(wide, "long"), "{\"stringValue\":\"" + too_long.substr(0, 4096) + "\"}");
}

}  // namespace
}  // namespace obs::trace
