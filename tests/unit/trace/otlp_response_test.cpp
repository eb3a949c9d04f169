#include "obs/trace/otlp_response.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>

#include <memory>
#include <random>
#include <string>

namespace obs::trace {
namespace {

/// The bytes of an ExportTraceServiceResponse, written by OpenTelemetry's own library.
std::string Response(const std::string& json) {
  const auto* type = google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(
      "opentelemetry.proto.collector.trace.v1.ExportTraceServiceResponse");
  if (type == nullptr) {
    ADD_FAILURE() << "the library with OpenTelemetry's protocol is not linked";
    return {};
  }
  const std::unique_ptr<google::protobuf::Message> message(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(json, message.get()).ok()) << json;
  return message->SerializeAsString();
}

TEST(OtlpResponse, SaysHowManySpansWereRejectedAndWhy) {
  const auto partial =
      DecodeResponse(Response(R"({"partialSuccess":{"rejectedSpans":"300","errorMessage":"no room"}})"));
  EXPECT_EQ(partial.rejected_spans, 300u);
  EXPECT_EQ(partial.message, "no room");
}

TEST(OtlpResponse, SaysNothingWhenAllWasTaken) {
  for (const char* json :
       {"{}", R"({"partialSuccess":{}})", R"({"partialSuccess":{"rejectedSpans":"-1"}})"}) {
    const auto partial = DecodeResponse(Response(json));
    EXPECT_EQ(partial.rejected_spans, 0u) << json;
    EXPECT_EQ(partial.message, "") << json;
  }
}

TEST(OtlpResponse, PassesOverFieldsThatItDoesNotKnow) {
  const std::string unknown =
      "\x25"
      "1234"
      "\x38\x96\x01"
      "\x19"
      "12345678"
      "\x32\x02xy";
  const std::string known = "\x08\x02\x12\x03why";
  const std::string partial = unknown + known;
  const auto decoded =
      DecodeResponse(unknown + "\x0a" + static_cast<char>(partial.size()) + partial + unknown);
  EXPECT_EQ(decoded.rejected_spans, 2u);
  EXPECT_EQ(decoded.message, "why");
}

TEST(OtlpResponse, TakesAMessageThatIsCutOffAsFarAsItGoes) {
  const std::string response = Response(R"({"partialSuccess":{"rejectedSpans":"3","errorMessage":")" +
                                        std::string(9000, 'x') + R"("}})");
  const auto partial = DecodeResponse(std::string_view(response).substr(0, 4096));
  EXPECT_EQ(partial.rejected_spans, 3u);
  EXPECT_GT(partial.message.size(), 4000u);
}

TEST(OtlpResponse, SurvivesBytesThatAreNone) {
  for (const char* text :
       {"<html>", "{\"partialSuccess\":{\"rejectedSpans\":1}}", "OK", "\x0a", "\xff\xff"}) {
    EXPECT_EQ(DecodeResponse(text).rejected_spans, 0u) << text;
  }
  EXPECT_EQ(DecodeResponse(std::string(100, '\xff')).rejected_spans, 0u) << "a varint that does not end";
  std::minstd_rand random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random() % 40, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random() % 256);
    EXPECT_LE(DecodeResponse("\x0a\x20\x12" + bytes).message.size(), bytes.size());
  }
}

}  // namespace
}  // namespace obs::trace
