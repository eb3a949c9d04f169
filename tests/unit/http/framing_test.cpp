#include "obs/http/framing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace obs::http {
namespace {

constexpr FramingLimits kLimits{64, 512, 16};

Framing Read(std::string_view input) { return ReadRequest(input, kLimits); }

TEST(Framing, ReadsOneRequestAndSaysHowMuchItTook) {
  const std::string first = "GET /roll?die=fair HTTP/1.1\r\nHost: a\r\nX-Y:  z \r\n\r\n";
  const Framing framing = Read(first + "GET /next");
  ASSERT_EQ(framing.state, Framing::State::kComplete);
  EXPECT_EQ(framing.consumed, first.size());
  EXPECT_EQ(framing.request->method, Method::kGet);
  EXPECT_EQ(framing.request->path, "/roll");
  EXPECT_EQ(framing.request->query, "die=fair");
  EXPECT_EQ(framing.request->Header("x-y"), "z");
  EXPECT_FALSE(framing.wants_close);
}

TEST(Framing, WaitsForTheRestWhereverARequestIsCut) {
  const std::string whole = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Framing framing = Read(whole.substr(0, size));
    EXPECT_TRUE(framing.state == Framing::State::kHeader || framing.state == Framing::State::kBody) << size;
  }
  const Framing framing = Read(whole);
  ASSERT_EQ(framing.state, Framing::State::kComplete);
  EXPECT_EQ(framing.request->body, "body");
}

TEST(Framing, ToleratesAnEmptyLineBeforeTheRequest) {
  const std::string input = "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
  const Framing framing = Read(input);
  ASSERT_EQ(framing.state, Framing::State::kComplete);
  EXPECT_EQ(framing.consumed, input.size());
}

TEST(Framing, TakesTheAbsoluteFormThatProxiesSend) {
  const Framing framing = Read("GET http://a:80/roll?die=x HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_EQ(framing.state, Framing::State::kComplete);
  EXPECT_EQ(framing.request->path, "/roll");
}

TEST(Framing, ClosesAfterHttp10AndAfterConnectionClose) {
  EXPECT_TRUE(Read("GET / HTTP/1.0\r\n\r\n").wants_close);
  EXPECT_TRUE(Read("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Close\r\n\r\n").wants_close);
  EXPECT_FALSE(Read("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\r\n").wants_close);
}

TEST(Framing, AsksForTheBodyOfAClientThatWaits) {
  const Framing framing =
      Read("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(framing.state, Framing::State::kBody);
  EXPECT_TRUE(framing.expects_continue);
  EXPECT_FALSE(Read("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nb")
                   .expects_continue);
  EXPECT_FALSE(Read("POST / HTTP/1.0\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n").expects_continue);
}

struct Refusal {
  std::string name;
  std::string input;
  ErrorCode code;
  std::string type;
};

class FramingRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(FramingRefuses, WhatIsMalformedOrTooLarge) {
  const Framing framing = Read(GetParam().input);
  ASSERT_EQ(framing.state, Framing::State::kRefused);
  EXPECT_EQ(framing.error->code(), GetParam().code);
  EXPECT_EQ(framing.error->type(), GetParam().type);
  EXPECT_FALSE(framing.error->detail().empty());
}

constexpr auto kBad = ErrorCode::kInvalidArgument;
constexpr auto kBig = ErrorCode::kTooLarge;
constexpr auto kNot = ErrorCode::kNotImplemented;

INSTANTIATE_TEST_SUITE_P(
    Table, FramingRefuses,
    testing::Values(
        Refusal{"NoHost", "GET / HTTP/1.1\r\n\r\n", kBad, "malformed-request"},
        Refusal{"TwoHosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", kBad, "malformed-request"},
        Refusal{"SpaceBeforeColon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", kBad, "malformed-request"},
        Refusal{"NoColon", "GET / HTTP/1.1\r\nHost: a\r\nbroken\r\n\r\n", kBad, "malformed-request"},
        Refusal{"Folded", "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", kBad, "malformed-request"},
        Refusal{"BareLineFeed", "GET / HTTP/1.1\nHost: a\n\n", kBad, "malformed-request"},
        Refusal{"ControlInValue", std::string("GET / HTTP/1.1\r\nHost: a\r\nX: a\x01\r\n\r\n"), kBad,
                "malformed-request"},
        Refusal{"NulInValue", std::string("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 35), kBad,
                "malformed-request"},
        Refusal{"ReturnInValue", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", kBad, "malformed-request"},
        Refusal{"NoTarget", "GET HTTP/1.1\r\nHost: a\r\n\r\n", kNot, "version-not-supported"},
        Refusal{"RelativeTarget", "GET roll HTTP/1.1\r\nHost: a\r\n\r\n", kBad, "malformed-request"},
        Refusal{"AsteriskTarget", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", kBad, "malformed-request"},
        Refusal{"FragmentInTarget", "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", kBad, "malformed-request"},
        Refusal{"RawUtf8InTarget", "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", kBad, "malformed-request"},
        Refusal{"EmptyVersion", "GET / \r\nHost: a\r\n\r\n", kNot, "version-not-supported"},
        Refusal{"TruncatedVersion", "GET / HTTP/1\r\nHost: a\r\n\r\n", kNot, "version-not-supported"},
        Refusal{"Http2", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", kNot, "version-not-supported"},
        Refusal{"UnknownMethod", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", kNot, "method-not-implemented"},
        Refusal{"TlsHandshake", "\x16\x03\x01\x02 x y\r\n\r\n", kBad, "malformed-request"},
        Refusal{"LengthNoNumber", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: abc\r\n\r\n", kBad,
                "malformed-request"},
        Refusal{"LengthNegative", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", kBad,
                "malformed-request"},
        Refusal{"LengthPlus", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", kBad,
                "malformed-request"},
        Refusal{"LengthTwice", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                kBad, "malformed-request"},
        Refusal{"LengthHuge", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000000\r\n\r\n", kBig,
                "body-too-large"},
        Refusal{"LengthOverflow",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n", kBig,
                "body-too-large"},
        Refusal{"Chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", kNot,
                "transfer-encoding-not-implemented"},
        Refusal{"ChunkedWithLength",
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", kBad,
                "malformed-request"},
        Refusal{"TargetTooLong", "GET /" + std::string(100, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", kBig,
                "target-too-long"},
        Refusal{"EndlessTarget", "GET /" + std::string(200, 'a'), kBig, "target-too-long"},
        Refusal{"HeadersTooLarge", "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(600, 'a') + "\r\n\r\n",
                kBig, "headers-too-large"},
        Refusal{"EndlessHeaders", "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(600, 'a'), kBig,
                "headers-too-large"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace obs::http
