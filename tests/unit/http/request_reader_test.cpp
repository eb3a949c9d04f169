#include "obs/http/request_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace obs::http {
namespace {

using State = RequestReader::State;
using testing::ElementsAre;

constexpr FramingLimits kLimits{64, 512, 16};

/// Reads a stream as a connection does: what the reader leaves is given again with more behind it.
struct Reading {
  std::vector<std::unique_ptr<Request>> requests;
  std::vector<bool> closes;
  State state = State::kHead;
  std::string error;
  std::string rest;
};

template <typename NextSize>
Reading ReadInPieces(std::string_view input, NextSize next_size) {
  RequestReader reader(kLimits);
  Reading reading;
  while (!input.empty() && reader.state() != State::kRefused) {
    const std::size_t size = std::min<std::size_t>(next_size(), input.size());
    reading.rest.append(input.substr(0, size));
    input.remove_prefix(size);
    for (;;) {
      reading.rest.erase(0, reader.Read(reading.rest));
      if (reader.state() != State::kComplete) break;
      reading.closes.push_back(reader.wants_close());
      reading.requests.push_back(reader.Take());
    }
  }
  reading.state = reader.state();
  if (reading.state == State::kRefused) reading.error = reader.error().type();
  return reading;
}

Reading Read(std::string_view input) {
  return ReadInPieces(input, [&input] { return input.size(); });
}

std::string Repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

const std::string kPost = "POST / HTTP/1.1\r\nHost: a\r\n";
const std::string kChunked = kPost + "Transfer-Encoding: chunked\r\n\r\n";

TEST(RequestReader, ReadsOneRequestAndSaysHowMuchItTook) {
  const std::string first = "GET /roll?die=fair HTTP/1.1\r\nHost: a\r\nX-Y:  z \r\n\r\n";
  RequestReader reader(kLimits);
  EXPECT_EQ(reader.Read(first + "GET /next"), first.size());
  ASSERT_EQ(reader.state(), State::kComplete);
  EXPECT_FALSE(reader.wants_close());
  EXPECT_EQ(reader.Read("GET /next"), 0U) << "while a complete request waits";
  const auto request = reader.Take();
  EXPECT_EQ(request->method, Method::kGet);
  EXPECT_EQ(request->target, "/roll?die=fair");
  EXPECT_EQ(request->path, "/roll");
  EXPECT_EQ(request->query, "die=fair");
  EXPECT_EQ(request->Header("x-y"), "z");
  EXPECT_FALSE(reader.begun());
  EXPECT_EQ(reader.Read("GET /next"), 0U);
  EXPECT_TRUE(reader.begun());
}

TEST(RequestReader, WaitsForTheRestWhereverARequestIsCut) {
  const std::string whole = kPost + "Content-Length: 4\r\n\r\nbody";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Reading reading = Read(whole.substr(0, size));
    EXPECT_TRUE(reading.state == State::kHead || reading.state == State::kBody) << size;
    EXPECT_TRUE(reading.requests.empty()) << size;
  }
  const Reading reading = Read(whole);
  ASSERT_EQ(reading.requests.size(), 1U);
  EXPECT_EQ(reading.requests[0]->body, "body");
}

TEST(RequestReader, ReadsTheSameInWhateverPiecesTheBytesCome) {
  const std::string stream = "GET /roll?die=fair HTTP/1.1\r\nHost: a\r\nX-Y: z\r\n\r\n" + kPost +
                             "Content-Length: 4\r\n\r\nbody" + "\r\n" + kChunked +
                             "3;x=y\r\nabc\r\nA\r\n0123456789\r\n000\r\nTrailer: t\r\n\r\n" + kPost +
                             "Content-Length: 0\r\n\r\n" + "\r\n\r\n" + "HEAD /last HTTP/1.0\r\n\r\n";
  const auto check = [](const Reading& reading, const std::string& how) {
    SCOPED_TRACE(how);
    EXPECT_EQ(reading.state, State::kHead) << reading.error;
    EXPECT_EQ(reading.rest, "");
    ASSERT_EQ(reading.requests.size(), 5U);
    EXPECT_EQ(reading.requests[0]->query, "die=fair");
    EXPECT_EQ(reading.requests[0]->Header("X-Y"), "z");
    EXPECT_EQ(reading.requests[1]->body, "body");
    EXPECT_EQ(reading.requests[2]->body, "abc0123456789");
    EXPECT_EQ(reading.requests[3]->body, "");
    EXPECT_EQ(reading.requests[4]->path, "/last");
    EXPECT_THAT(reading.closes, ElementsAre(false, false, false, false, true));
  };
  check(Read(stream), "whole");
  for (std::size_t size = 1; size < 20; ++size) {
    check(ReadInPieces(stream, [size] { return size; }), std::to_string(size) + " bytes at a time");
  }
  for (std::size_t cut = 1; cut < stream.size(); ++cut) {
    std::size_t next = cut;
    check(ReadInPieces(stream, [&next, &stream] { return std::exchange(next, stream.size()); }),
          "cut at " + std::to_string(cut));
  }
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::minstd_rand random(seed);
    check(ReadInPieces(stream, [&random] { return 1 + random() % 40; }), "seed " + std::to_string(seed));
  }
}

TEST(RequestReader, TakesABodyAsItComesAndDoesNotNeedItsHeadAgain) {
  RequestReader reader(kLimits);
  const std::string head = kPost + "Content-Length: 9\r\n\r\n";
  EXPECT_EQ(reader.Read(head), head.size());
  EXPECT_EQ(reader.state(), State::kBody);
  EXPECT_EQ(reader.Read("abc"), 3U);
  EXPECT_EQ(reader.Read("def"), 3U);
  EXPECT_EQ(reader.Read("ghiGET"), 3U);
  ASSERT_EQ(reader.state(), State::kComplete);
  EXPECT_EQ(reader.Take()->body, "abcdefghi");
}

TEST(RequestReader, TakesAChunkedBodyAsItComes) {
  RequestReader reader(kLimits);
  EXPECT_EQ(reader.Read(kChunked + "5\r\nab"), kChunked.size() + 5);
  EXPECT_EQ(reader.Read("cde\r\n0\r\n"), 8U);
  EXPECT_EQ(reader.state(), State::kBody) << "trailers may follow";
  EXPECT_EQ(reader.Read("\r\nGET"), 2U);
  ASSERT_EQ(reader.state(), State::kComplete);
  EXPECT_EQ(reader.Take()->body, "abcde");
}

TEST(RequestReader, ToleratesEmptyLinesBeforeARequest) {
  for (const std::string lines : {"\r\n", "\r\n\r\n"}) {
    const Reading reading = Read(lines + "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(reading.requests.size(), 1U);
    EXPECT_EQ(reading.rest, "");
  }
}

TEST(RequestReader, TakesTheAbsoluteFormThatProxiesSend) {
  for (const auto* origin :
       {"http://a:80", "HTTP://A", "https://a", "http://[::1]:8080", "hTTps://a_b.c-d"}) {
    const Reading reading = Read(std::string("GET ") + origin + "/roll?die=x HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_EQ(reading.requests.size(), 1U) << origin;
    EXPECT_EQ(reading.requests[0]->path, "/roll");
    EXPECT_EQ(reading.requests[0]->query, "die=x");
  }
}

TEST(RequestReader, TakesTheTargetThatMeansTheServerAsAWhole) {
  const Reading reading = Read("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_EQ(reading.requests.size(), 1U);
  EXPECT_EQ(reading.requests[0]->path, "*");
}

TEST(RequestReader, TakesEveryValidHost) {
  for (const auto* host :
       {"a", "a:1", "a:65535", "127.0.0.1:80", "[::1]", "[::1]:80", "a.b-c_d~e", "a%20b", ""}) {
    EXPECT_EQ(Read(std::string("GET / HTTP/1.1\r\nHost: ") + host + "\r\n\r\n").requests.size(), 1U) << host;
  }
  EXPECT_EQ(Read("GET / HTTP/1.0\r\n\r\n").requests.size(), 1U) << "HTTP/1.0 needs none";
}

TEST(RequestReader, JoinsTheLinesOfOneHeader) {
  const Reading reading = Read("GET / HTTP/1.1\r\nHost: a\r\nAccept: x\r\nX: y\r\naccept: z\r\n\r\n");
  ASSERT_EQ(reading.requests.size(), 1U);
  EXPECT_EQ(reading.requests[0]->Header("Accept"), "x, z");
}

TEST(RequestReader, ClosesAfterHttp10AndAfterConnectionClose) {
  const auto closes = [](std::string_view input) { return Read(input).closes; };
  EXPECT_THAT(closes("GET / HTTP/1.0\r\n\r\n"), ElementsAre(true));
  EXPECT_THAT(closes("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Close\r\n\r\n"),
              ElementsAre(true));
  EXPECT_THAT(closes("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\r\n"), ElementsAre(false));
}

TEST(RequestReader, AsksForTheBodyOfAClientThatWaits) {
  const auto asks = [](const std::string& input) {
    RequestReader reader(kLimits);
    reader.Read(input);
    EXPECT_EQ(reader.state(), State::kBody);
    const bool asked = reader.TakeExpectation();
    EXPECT_FALSE(reader.TakeExpectation()) << "once is enough";
    return asked;
  };
  const std::string expectation = "Expect: 100-continue\r\n\r\n";
  EXPECT_TRUE(asks(kPost + "Content-Length: 4\r\n" + expectation));
  EXPECT_TRUE(asks(kPost + "Transfer-Encoding: chunked\r\n" + expectation));
  EXPECT_FALSE(asks(kPost + "Content-Length: 4\r\n" + expectation + "b")) << "it does not wait";
  EXPECT_FALSE(asks("POST / HTTP/1.0\r\nContent-Length: 4\r\n" + expectation));
}

TEST(RequestReader, ReadsNothingAfterARefusal) {
  RequestReader reader(kLimits);
  reader.Read("BREW / HTTP/1.1\r\n\r\n");
  ASSERT_EQ(reader.state(), State::kRefused);
  EXPECT_EQ(reader.Read("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0U);
  EXPECT_EQ(reader.state(), State::kRefused);
}

struct Refusal {
  std::string name;
  std::string input;
  ErrorCode code;
  std::string type;
};

class RequestReaderRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(RequestReaderRefuses, WhatIsMalformedOrTooLarge) {
  RequestReader reader(kLimits);
  std::string_view input = GetParam().input;
  input.remove_prefix(reader.Read(input));
  ASSERT_EQ(reader.state(), State::kRefused);
  EXPECT_EQ(reader.error().code(), GetParam().code);
  EXPECT_EQ(reader.error().type(), GetParam().type);
  EXPECT_FALSE(reader.error().detail().empty());
}

TEST_P(RequestReaderRefuses, TheSameInWhateverPiecesItComes) {
  const std::string& input = GetParam().input;
  for (std::size_t size = 1; size < 10; ++size) {
    const Reading reading = ReadInPieces(input, [size] { return size; });
    EXPECT_EQ(reading.error, GetParam().type) << size << " bytes at a time";
    EXPECT_TRUE(reading.requests.empty());
  }
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::minstd_rand random(seed);
    EXPECT_EQ(ReadInPieces(input, [&random] { return 1 + random() % 40; }).error, GetParam().type) << seed;
  }
}

constexpr auto kBad = ErrorCode::kInvalidArgument;
constexpr auto kBig = ErrorCode::kTooLarge;
constexpr auto kNot = ErrorCode::kNotImplemented;

INSTANTIATE_TEST_SUITE_P(
    Table, RequestReaderRefuses,
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
        Refusal{"NoTarget", "GET HTTP/1.1\r\nHost: a\r\n\r\n", ErrorCode::kVersionNotSupported,
                "version-not-supported"},
        Refusal{"RelativeTarget", "GET roll HTTP/1.1\r\nHost: a\r\n\r\n", kBad, "malformed-request"},
        Refusal{"AsteriskTarget", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", kBad, "malformed-request"},
        Refusal{"FragmentInTarget", "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", kBad, "malformed-request"},
        Refusal{"RawUtf8InTarget", "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", kBad, "malformed-request"},
        Refusal{"EmptyVersion", "GET / \r\nHost: a\r\n\r\n", ErrorCode::kVersionNotSupported,
                "version-not-supported"},
        Refusal{"TruncatedVersion", "GET / HTTP/1\r\nHost: a\r\n\r\n", ErrorCode::kVersionNotSupported,
                "version-not-supported"},
        Refusal{"Http2", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", ErrorCode::kVersionNotSupported,
                "version-not-supported"},
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
        Refusal{"ChunkedWithLength",
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", kBad,
                "malformed-request"},
        Refusal{"TargetTooLong", "GET /" + std::string(100, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n",
                ErrorCode::kTargetTooLong, "target-too-long"},
        Refusal{"EndlessTarget", "GET /" + std::string(200, 'a'), ErrorCode::kTargetTooLong,
                "target-too-long"},
        Refusal{"HeadersTooLarge", "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(600, 'a') + "\r\n\r\n",
                ErrorCode::kHeadersTooLarge, "headers-too-large"},
        Refusal{"EndlessHeaders", "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(600, 'a'),
                ErrorCode::kHeadersTooLarge, "headers-too-large"},
        Refusal{"ManyHeaders", "GET / HTTP/1.1\r\nHost: a\r\n" + Repeated("a: b\r\n", 100) + "\r\n",
                ErrorCode::kHeadersTooLarge, "headers-too-large"},
        // What names no host, in the target or in Host.
        Refusal{"QueryForAHost", "GET http://?x=/metrics HTTP/1.1\r\nHost: a\r\n\r\n", kBad,
                "malformed-request"},
        Refusal{"OriginWithoutHost", "GET http:///metrics HTTP/1.1\r\nHost: a\r\n\r\n", kBad,
                "malformed-request"},
        Refusal{"OriginWithoutPath", "GET http://h?x=/metrics HTTP/1.1\r\nHost: a\r\n\r\n", kBad,
                "malformed-request"},
        Refusal{"OriginWithUser", "GET http://u:p@h/ HTTP/1.1\r\nHost: a\r\n\r\n", kBad, "malformed-request"},
        Refusal{"OriginOfAnotherScheme", "GET ftp://h/ HTTP/1.1\r\nHost: a\r\n\r\n", kBad,
                "malformed-request"},
        Refusal{"FragmentBehindOrigin", "GET http://h/#x HTTP/1.1\r\nHost: a\r\n\r\n", kBad,
                "malformed-request"},
        Refusal{"HostWithPortOfLetters", "GET / HTTP/1.1\r\nHost: a:abc\r\n\r\n", kBad, "malformed-request"},
        Refusal{"HostWithPortZero", "GET / HTTP/1.1\r\nHost: a:0\r\n\r\n", kBad, "malformed-request"},
        Refusal{"HostWithPath", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", kBad, "malformed-request"},
        Refusal{"HostWithSpace", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", kBad, "malformed-request"},
        Refusal{"HostWithQuery", "GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", kBad, "malformed-request"},
        Refusal{"HostWithMarkup", "GET / HTTP/1.1\r\nHost: <a>\r\n\r\n", kBad, "malformed-request"},
        Refusal{"HostWithComma", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", kBad, "malformed-request"},
        Refusal{"HostWithUser", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", kBad, "malformed-request"},
        Refusal{"HostWithOpenBracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", kBad, "malformed-request"},
        Refusal{"HostWithTextInBrackets", "GET / HTTP/1.1\r\nHost: [a/b]\r\n\r\n", kBad, "malformed-request"},
        Refusal{"HostOfHighBytes", "GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n", kBad, "malformed-request"},
        // Combinations that smuggle a request past one of two readers.
        Refusal{"OtherCoding", kPost + "Transfer-Encoding: gzip\r\n\r\n", kNot,
                "transfer-encoding-not-implemented"},
        Refusal{"TwoCodings", kPost + "Transfer-Encoding: gzip, chunked\r\n\r\n", kNot,
                "transfer-encoding-not-implemented"},
        Refusal{"ChunkedTwice", kPost + "Transfer-Encoding: chunked, chunked\r\n\r\n", kNot,
                "transfer-encoding-not-implemented"},
        Refusal{"ChunkedInTwoLines",
                kPost + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", kBad,
                "malformed-request"},
        Refusal{"ChunkedInQuotes", kPost + "Transfer-Encoding: \"chunked\"\r\n\r\n", kNot,
                "transfer-encoding-not-implemented"},
        Refusal{"EmptyCoding", kPost + "Transfer-Encoding:\r\n\r\n", kNot,
                "transfer-encoding-not-implemented"},
        Refusal{"CodingWithSpaceBeforeColon", kPost + "Transfer-Encoding : chunked\r\n\r\n", kBad,
                "malformed-request"},
        Refusal{"LengthBeforeChunked", kPost + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                kBad, "malformed-request"},
        Refusal{"ChunkedInHttp10", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", kBad,
                "malformed-request"},
        Refusal{"LengthTwiceAlike", kPost + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", kBad,
                "malformed-request"},
        Refusal{"LengthList", kPost + "Content-Length: 1, 1\r\n\r\n", kBad, "malformed-request"},
        Refusal{"LengthHexadecimal", kPost + "Content-Length: 0x1\r\n\r\n", kBad, "malformed-request"},
        Refusal{"LengthEmpty", kPost + "Content-Length:\r\n\r\n", kBad, "malformed-request"},
        // Chunked bodies.
        Refusal{"ChunkWithoutSize", kChunked + "\r\n", kBad, "malformed-request"},
        Refusal{"ChunkSizeNoNumber", kChunked + "x\r\n", kBad, "malformed-request"},
        Refusal{"ChunkSizeNegative", kChunked + "-1\r\n", kBad, "malformed-request"},
        Refusal{"ChunkSizePrefixed", kChunked + "0x1\r\na\r\n", kBad, "malformed-request"},
        Refusal{"ChunkSizeOverflow", kChunked + "fffffffffffffffff\r\n", kBig, "body-too-large"},
        Refusal{"ChunkSizeJustBelowOverflow", kChunked + "ffffffffffffffff\r\n", kBig, "body-too-large"},
        Refusal{"ChunkLonger", kChunked + "1\r\nab\r\n", kBad, "malformed-request"},
        Refusal{"ChunkBareLineFeed", kChunked + "1\na\r\n", kBad, "malformed-request"},
        Refusal{"ChunkEndedByLineFeed", kChunked + "1\r\na\n0\r\n\r\n", kBad, "malformed-request"},
        Refusal{"ChunksTooLarge", kChunked + "10\r\n" + std::string(16, 'a') + "\r\n1\r\n", kBig,
                "body-too-large"},
        Refusal{"EndlessChunkLine", kChunked + "1;" + std::string(300, 'a'), kBad, "malformed-request"},
        Refusal{"EndlessTrailers", kChunked + "0\r\n" + Repeated("Trailer: of some length\r\n", 300), kBad,
                "malformed-request"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace obs::http
