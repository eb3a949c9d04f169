#include "obs/http/reply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

namespace obs::http {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string HeadOf(const Response& response, bool close = false, std::string_view trace_response = "") {
  std::string head;
  AppendHead(head, response, close, trace_response);
  return head;
}

Response Of(int status) {
  Response response;
  response.status = status;
  return response;
}

int CountOf(const std::string& name, const std::string& head) {
  const std::regex line("(^|\r\n)" + name + ":", std::regex::icase);
  return static_cast<int>(
      std::distance(std::sregex_iterator(head.begin(), head.end(), line), std::sregex_iterator()));
}

TEST(Reply, HasAStatusLineAndTheHeadersThatTheServerWrites) {
  Response response;
  response.body = "12345";
  response.content_type = "text/plain";
  const std::string head = HeadOf(response, false, "00-trace-span-01");
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nContent-Type: text/plain\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nContent-Length: 5\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nConnection: keep-alive\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\ntraceresponse: 00-trace-span-01\r\n"));
  EXPECT_THAT(head, EndsWith("\r\n\r\n"));
  const std::regex date(
      "\r\nDate: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-3][0-9] [A-Z][a-z]{2} 20[0-9]{2} "
      "[0-2][0-9]:[0-5][0-9]:[0-6][0-9] GMT\r\n");
  EXPECT_TRUE(std::regex_search(head, date)) << head;
}

TEST(Reply, SaysWhenTheConnectionEnds) {
  const std::string head = HeadOf({}, true);
  EXPECT_THAT(head, HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_THAT(head, Not(HasSubstr("traceresponse")));
}

TEST(Reply, NamesEachStatus) {
  for (const auto& [status, line] :
       std::vector<std::pair<int, std::string>>{{201, "201 Created"},
                                                {302, "302 Found"},
                                                {409, "409 Conflict"},
                                                {415, "415 Unsupported Media Type"},
                                                {418, "418 Unknown"}}) {
    EXPECT_THAT(HeadOf(Of(status)), StartsWith("HTTP/1.1 " + line + "\r\n"));
  }
}

TEST(Reply, HasNeitherLengthNorTypeWithoutContent) {
  for (const int status : {204, 304}) {
    Response response = Of(status);
    response.body = "content";
    response.headers = {{"Content-Type", "text/plain"}, {"Content-Length", "7"}, {"ETag", "\"x\""}};
    const std::string head = HeadOf(response);
    EXPECT_FALSE(HasContent(status));
    EXPECT_EQ(CountOf("Content-Type", head), 0);
    EXPECT_EQ(CountOf("Content-Length", head), 0);
    EXPECT_EQ(CountOf("ETag", head), 1);
  }
  EXPECT_TRUE(HasContent(200));
  EXPECT_TRUE(HasContent(404));
}

TEST(Reply, WritesNoHeaderOfTheServersOwnTwice) {
  Response response;
  response.body = "12345";
  response.content_type = "text/plain";
  response.headers = {{"content-type", "text/html"},    {"Content-Length", "3"},
                      {"Connection", "upgrade"},        {"Date", "never"},
                      {"Transfer-Encoding", "chunked"}, {"traceresponse", "x"}};
  const std::string head = HeadOf(response, false, "y");
  for (const auto* name : {"Content-Type", "Content-Length", "Connection", "Date", "traceresponse"}) {
    EXPECT_EQ(CountOf(name, head), 1) << name;
  }
  EXPECT_EQ(CountOf("Transfer-Encoding", head), 0);
  EXPECT_THAT(head, HasSubstr("\r\nContent-Length: 5\r\n"));
}

TEST(Reply, LeavesOutAHeaderThatWouldBreakTheMessage) {
  Response response;
  response.headers = {{"Location", "/a\r\nSet-Cookie: stolen=1"},
                      {"X-Feed", "a\nb"},
                      {"X-Return", "a\rb"},
                      {"X-Nul", std::string("a\0b", 3)},
                      {"X-Delete", "a\x7f"},
                      {"Bad Name", "a"},
                      {"Bad\r\nName", "a"},
                      {"", "a"},
                      {"X-Good", "a b\tc \xc3\xa4"}};
  const std::string head = HeadOf(response);
  EXPECT_THAT(head, Not(HasSubstr("Set-Cookie")));
  for (const auto* name : {"Location", "X-Feed", "X-Return", "X-Nul", "X-Delete", "Name"}) {
    EXPECT_THAT(head, Not(HasSubstr(name)));
  }
  EXPECT_THAT(head, HasSubstr("\r\nX-Good: a b\tc \xc3\xa4\r\n"));
}

TEST(Reply, LeavesOutAContentTypeThatWouldBreakTheMessage) {
  Response response;
  response.content_type = "text/plain\r\nSet-Cookie: stolen=1";
  const std::string head = HeadOf(response);
  EXPECT_THAT(head, Not(HasSubstr("Set-Cookie")));
  EXPECT_EQ(CountOf("Content-Type", head), 0);
  EXPECT_EQ(CountOf("Content-Length", head), 1);
}

TEST(Reply, AppendsToWhatIsThere) {
  std::string out = "before ";
  AppendHead(out, {}, false, "");
  EXPECT_THAT(out, StartsWith("before HTTP/1.1 200 OK\r\n"));
}

}  // namespace
}  // namespace obs::http
