#include "answer_check.h"

#include <gtest/gtest.h>

namespace frontend {
namespace {

obs::http::ClientResponse Answer(int status, std::string body,
                                 std::string content_type = "application/json") {
  obs::http::ClientResponse answer;
  answer.status = status;
  answer.body = std::move(body);
  answer.content_type = std::move(content_type);
  return answer;
}

const Expectation kFair("die", "fair");

TEST(AnswerCheck, TakesWhatOurServicesGive) {
  EXPECT_EQ(FaultOf(Answer(200, R"({"die":"fair","result":4})"), kFair), "");
  EXPECT_EQ(FaultOf(Answer(200, R"({"a":{"die":"other"},"die":"fair"})"), kFair), "");
  EXPECT_EQ(FaultOf(Answer(200, R"({"dice":["fair"]})"), Expectation()), "");
  EXPECT_EQ(FaultOf(Answer(200, "{}", "application/json; charset=utf-8"), Expectation()), "");
  for (const int status : {400, 404, 500, 503}) {
    EXPECT_EQ(FaultOf(Answer(status, R"({"type":"x"})", "application/problem+json"), kFair), "") << status;
  }
}

TEST(AnswerCheck, RefusesAStatusThatIsNoAnswer) {
  for (const int status : {100, 302, 304, 600, 999}) {
    EXPECT_NE(FaultOf(Answer(status, R"({"die":"fair"})"), kFair), "") << status;
  }
}

TEST(AnswerCheck, RefusesWhatIsNotSaidToBeJson) {
  for (const char* type :
       {"", "text/html", "application/jsonx", "application/problem+jsonx", "xapplication/json"}) {
    EXPECT_NE(FaultOf(Answer(200, R"({"die":"fair"})", type), kFair), "") << type;
  }
}

TEST(AnswerCheck, RefusesWhatIsNoJsonObject) {
  for (const char* body : {"", "{", "[]", "1", "\"fair\"", R"({"die":"fair")", R"({"die":"fair"}x)",
                           "{\"die\":\"fair\",\"x\":\"\xff\"}", "\x1f\x8b\x08"}) {
    EXPECT_NE(FaultOf(Answer(200, body), kFair), "") << body;
  }
}

TEST(AnswerCheck, RefusesWhatIsCompressed) {
  auto answer = Answer(200, R"({"die":"fair"})");
  answer.content_encoding = "gzip";
  EXPECT_NE(FaultOf(answer, kFair), "");
}

TEST(AnswerCheck, RefusesAnotherDie) {
  for (const char* body : {R"({"die":"risky"})", R"({"result":4})", R"({"die":1})", R"({"x":{"die":"fair"}})",
                           R"({"x":["die","fair"]})"}) {
    EXPECT_NE(FaultOf(Answer(200, body), kFair), "") << body;
  }
}

TEST(AnswerCheck, StandsAnyDepth) {
  std::string deep(100'000, '[');
  EXPECT_NE(FaultOf(Answer(200, "{\"x\":" + deep), kFair), "");
}

}  // namespace
}  // namespace frontend
