#include "obs/http1/response_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

namespace obs::http1 {
namespace {

using State = ResponseReader::State;

constexpr std::size_t kMaxHeaders = 512;
constexpr std::size_t kMaxBody = 16;

struct Reading {
  State state = State::kHead;
  int status = 0;
  std::string body;
  bool keep_alive = false;
  std::string error;
  std::string rest;
  std::string content_type;
};

/// Reads a stream as a client does, up to its end.
template <typename NextSize>
Reading ReadInPieces(std::string_view input, bool head_only, NextSize next_size) {
  ResponseReader reader(head_only, kMaxHeaders, kMaxBody);
  Reading reading;
  const auto more = [&reader] { return reader.state() == State::kHead || reader.state() == State::kBody; };
  while (!input.empty() && more()) {
    const std::size_t size = std::min<std::size_t>(next_size(), input.size());
    reading.rest.append(input.substr(0, size));
    input.remove_prefix(size);
    reading.rest.erase(0, reader.Read(reading.rest));
  }
  if (more()) reader.End();
  reading.rest.append(input);
  reading.state = reader.state();
  reading.status = reader.status();
  reading.body = reader.body();
  reading.keep_alive = reader.keep_alive();
  reading.error = reader.error();
  reading.content_type = reader.Header("content-type");
  return reading;
}

Reading Read(std::string_view input, bool head_only = false) {
  return ReadInPieces(input, head_only, [&input] { return input.size(); });
}

std::string Repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

struct Answer {
  std::string name;
  std::string input;
  int status;
  std::string body;
  bool keep_alive;
  std::string rest;
};

class ResponseReaderTakes : public testing::TestWithParam<Answer> {};

TEST_P(ResponseReaderTakes, AProperAnswerInWhateverPiecesItComes) {
  const auto check = [](const Reading& reading) {
    EXPECT_EQ(reading.state, State::kComplete) << reading.error;
    EXPECT_EQ(reading.status, GetParam().status);
    EXPECT_EQ(reading.body, GetParam().body);
    EXPECT_EQ(reading.keep_alive, GetParam().keep_alive);
    EXPECT_EQ(reading.rest, GetParam().rest);
  };
  const std::string& input = GetParam().input;
  check(Read(input));
  for (std::size_t size = 1; size < 20; ++size) check(ReadInPieces(input, false, [size] { return size; }));
  for (unsigned seed = 0; seed < 50; ++seed) {
    std::minstd_rand random(seed);
    check(ReadInPieces(input, false, [&random] { return 1 + random() % 40; }));
  }
}

const std::string kOk = "HTTP/1.1 200 OK\r\n";
const std::string kChunked = kOk + "Transfer-Encoding: chunked\r\n\r\n";

INSTANTIATE_TEST_SUITE_P(
    Table, ResponseReaderTakes,
    testing::Values(
        Answer{"WithALength", kOk + "Content-Length: 4\r\n\r\nbody", 200, "body", true, ""},
        Answer{"WithoutAReason", "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", 404, "", true, ""},
        Answer{"WithAnEmptyReason", "HTTP/1.1 503 \r\nContent-Length: 1\r\n\r\nx", 503, "x", true, ""},
        Answer{"Chunked", kChunked + "3\r\nabc\r\n1;x\r\nd\r\n0\r\nT: t\r\n\r\n", 200, "abcd", true, ""},
        Answer{"ChunkedAndEmpty", kChunked + "0\r\n\r\n", 200, "", true, ""},
        Answer{"ToTheEndOfTheStream", kOk + "\r\nall of it", 200, "all of it", false, ""},
        Answer{"EmptyToTheEndOfTheStream", kOk + "\r\n", 200, "", false, ""},
        Answer{"ThatCloses", kOk + "Connection: close\r\nContent-Length: 1\r\n\r\nx", 200, "x", false, ""},
        Answer{"OfHttp10", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x", false, ""},
        Answer{"OfHttp10ThatStays", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx",
               200, "x", true, ""},
        Answer{"WithoutContent204", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", true, ""},
        Answer{"WithoutContent304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", 304, "", true,
               ""},
        Answer{"AfterInterimOnes",
               "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + kOk +
                   "Content-Length: 1\r\n\r\nx",
               200, "x", true, ""},
        Answer{"OfTheLargestSize", kOk + "Content-Length: 16\r\n\r\n" + std::string(16, 'x'), 200,
               std::string(16, 'x'), true, ""}),
    [](const auto& test) { return test.param.name; });

TEST(ResponseReader, LeavesWhatStandsBehindAnAnswer) {
  const Reading reading = Read(kOk + "Content-Length: 1\r\n\r\nxHTTP/1.1 200 OK");
  EXPECT_EQ(reading.state, State::kComplete);
  EXPECT_EQ(reading.body, "x");
  EXPECT_EQ(reading.rest, "HTTP/1.1 200 OK");
}

TEST(ResponseReader, ReadsNoBodyInAnswerToHead) {
  for (const auto* length : {"4", "1000000", "99999999999999999999999999"}) {
    const Reading reading = Read(kOk + "Content-Length: " + length + "\r\n\r\n", true);
    EXPECT_EQ(reading.state, State::kComplete) << length << ": " << reading.error;
    EXPECT_EQ(reading.status, 200);
    EXPECT_TRUE(reading.keep_alive);
  }
}

TEST(ResponseReader, GivesHeadersWhateverTheCaseOfTheirNames) {
  EXPECT_EQ(Read(kOk + "CONTENT-type:  text/plain \r\nContent-Length: 0\r\n\r\n").content_type, "text/plain");
}

TEST(ResponseReader, ForgetsTheHeadersOfInterimResponses) {
  EXPECT_EQ(
      Read("HTTP/1.1 100 Continue\r\nContent-Type: text/plain\r\n\r\n" + kOk + "Content-Length: 0\r\n\r\n")
          .content_type,
      "");
}

struct Improper {
  std::string name;
  std::string input;
};

class ResponseReaderRefuses : public testing::TestWithParam<Improper> {};

TEST_P(ResponseReaderRefuses, WhatIsCutOffOrImproperInWhateverPiecesItComes) {
  const std::string& input = GetParam().input;
  const Reading whole = Read(input);
  EXPECT_EQ(whole.state, State::kRefused);
  EXPECT_FALSE(whole.error.empty());
  EXPECT_EQ(whole.error.find('\n'), std::string::npos);
  for (std::size_t size = 1; size < 20; ++size) {
    EXPECT_EQ(ReadInPieces(input, false, [size] { return size; }).state, State::kRefused) << size;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, ResponseReaderRefuses,
    testing::Values(
        Improper{"Nothing", ""}, Improper{"HeadCutOff", kOk + "Content-Type: application/json\r\n"},
        Improper{"HeadCutOffInALine", kOk + "Content-Ty"}, Improper{"StatusLineCutOff", "HTTP/1.1 200"},
        Improper{"BodyCutOff", kOk + "Content-Length: 4\r\n\r\nbod"},
        Improper{"BodyMissing", kOk + "Content-Length: 4\r\n\r\n"},
        Improper{"ChunkCutOff", kChunked + "4\r\nabc"},
        Improper{"ChunksWithoutAnEnd", kChunked + "3\r\nabc\r\n"},
        Improper{"ChunksWithoutTheLastLine", kChunked + "3\r\nabc\r\n0\r\n"},
        Improper{"ChunkOfNoSize", kChunked + "x\r\n"},
        Improper{"ChunkThatIsLonger", kChunked + "1\r\nab\r\n"},
        Improper{"ChunkSizeOverflow", kChunked + "ffffffffffffffffff\r\n"},
        Improper{"InterimOnly", "HTTP/1.1 100 Continue\r\n\r\n"},
        Improper{"TwoLengths", kOk + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx"},
        Improper{"TwoLengthsAlike", kOk + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx"},
        Improper{"LengthAndChunked",
                 kOk + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        Improper{"LengthNoNumber", kOk + "Content-Length: x\r\n\r\n"},
        Improper{"LengthNegative", kOk + "Content-Length: -1\r\n\r\n"},
        Improper{"OtherCoding", kOk + "Transfer-Encoding: gzip\r\n\r\n"},
        Improper{"Status999", "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"},
        Improper{"Status600", "HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n"},
        Improper{"Status099", "HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n"},
        Improper{"StatusOfFourDigits", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"},
        Improper{"StatusOfLetters", "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"},
        Improper{"SwitchingProtocols", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"},
        Improper{"Http2", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"},
        Improper{"Garbage", "garbage\r\n\r\n"},
        Improper{"TlsAlert", std::string("\x15\x03\x01\0\x02\x02\n", 7)},
        Improper{"BareLineFeed", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"},
        Improper{"Folded", kOk + "X: a\r\n b\r\nContent-Length: 0\r\n\r\n"},
        Improper{"SpaceBeforeColon", kOk + "Content-Length : 0\r\n\r\n"},
        Improper{"NoColon", kOk + "Content-Length\r\n\r\n"},
        Improper{"ControlInContentType", kOk + "Content-Type: a\x01\r\nContent-Length: 0\r\n\r\n"},
        Improper{"TooLong", kOk + "Content-Length: 17\r\n\r\n" + std::string(17, 'x')},
        Improper{"LengthBeyondCounting", kOk + "Content-Length: 99999999999999999999999\r\n\r\n"},
        Improper{"TooLongInChunks", kChunked + "10\r\n" + std::string(16, 'x') + "\r\n1\r\nx\r\n0\r\n\r\n"},
        Improper{"TooLongToTheEnd", kOk + "\r\n" + std::string(17, 'x')},
        Improper{"HeadersTooLarge", kOk + "X: " + std::string(600, 'x') + "\r\nContent-Length: 0\r\n\r\n"},
        Improper{"EndlessHeaders", kOk + "X: " + std::string(600, 'x')},
        Improper{"ManyHeaders", kOk + Repeated("a: b\r\n", 80) + Repeated("c: d\r\n", 30) + "\r\n"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace obs::http1
