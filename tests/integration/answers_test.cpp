// What each service answers in each case of the design's table.
#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/dice_system.h"
#include "support/parameter_name.h"

namespace {

using namespace support;  // NOLINT(google-build-using-namespace)
using testing::AnyOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;

std::vector<double> Numbers(const Json& array) {
  std::vector<double> numbers;
  for (const Json& item : array.Items()) numbers.push_back(item.Number());
  return numbers;
}

std::vector<std::string> Texts(const Json& array) {
  std::vector<std::string> texts;
  for (const Json& item : array.Items()) texts.push_back(item.Text());
  return texts;
}

void ExpectProblem(const HttpReply& reply, int status, const std::string& type,
                   const std::string& named = {}) {
  EXPECT_EQ(reply.status, status) << reply.body;
  EXPECT_EQ(reply.Header("Content-Type"), "application/problem+json");
  const Json problem = reply.json();
  EXPECT_EQ(problem["type"].Text(), "urn:problem-type:" + type);
  EXPECT_EQ(problem["status"].Number(), status);
  EXPECT_FALSE(problem["title"].Text().empty());
  EXPECT_THAT(problem["detail"].Text(), HasSubstr(named));
  EXPECT_THAT(problem["trace_id"].Text(), MatchesRegex("[0-9a-f]{32}"));
  EXPECT_THAT(reply.Header("traceresponse"), HasSubstr(problem["trace_id"].Text()));
}

class Answers : public testing::Test {
 protected:
  void SetUp() override {
    system.dice_roller.Set("DICE_ROLL_TIME", "0");
    system.Start();
  }
  std::vector<ServiceUnderTest*> rolling() { return {&system.dice_roller, &system.frontend}; }
  std::vector<ServiceUnderTest*> listing() { return {&system.die_service, &system.frontend}; }

  DiceSystem system;
};

TEST_F(Answers, ListTheDiceInOrder) {
  for (ServiceUnderTest* service : listing()) {
    SCOPED_TRACE(service->name());
    const HttpReply reply = service->Get("/dice");
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.Header("Content-Type"), "application/json");
    EXPECT_THAT(Texts(reply.json()["dice"]), ElementsAre("broken", "extreme", "fair", "risky", "weighted"));
  }
}

TEST_F(Answers, DescribeADie) {
  for (ServiceUnderTest* service : listing()) {
    SCOPED_TRACE(service->name());
    const HttpReply reply = service->Get("/dice/extreme");
    EXPECT_EQ(reply.status, 200);
    const Json die = reply.json();
    EXPECT_EQ(die["identifier"].Text(), "extreme");
    EXPECT_EQ(die["name"].Text(), "extreme");
    EXPECT_THAT(Numbers(die["faces"]), ElementsAre(0, 0, 6, 6, 6, 6));
    EXPECT_EQ(die["error_rate"].Number(), 0.5);
    EXPECT_EQ(die["sides"].Number(), 6);
    EXPECT_NEAR(die["probabilities"]["0"].Number(), 1.0 / 3, 1e-4);
    EXPECT_NEAR(die["probabilities"]["6"].Number(), 2.0 / 3, 1e-4);
  }
  EXPECT_EQ(system.die_service.Get("/dice?identifier=extreme").body,
            system.die_service.Get("/dice/extreme").body);
}

TEST_F(Answers, SayWhatTheServiceIs) {
  for (ServiceUnderTest* service : system.services()) {
    SCOPED_TRACE(service->name());
    const HttpReply reply = service->Get("/");
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.json()["service"].Text(), service->name());
  }
}

TEST_F(Answers, GiveABrowserThePage) {
  const HttpReply page = system.frontend.Get("/", {{"Accept", "text/html,application/xhtml+xml,*/*;q=0.8"}});
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.Header("Content-Type"), HasSubstr("text/html"));
  EXPECT_THAT(page.Header("Content-Security-Policy"), HasSubstr("default-src 'none'"));
  EXPECT_THAT(page.body, HasSubstr("<html"));
}

TEST_F(Answers, RollADie) {
  for (ServiceUnderTest* service : rolling()) {
    SCOPED_TRACE(service->name());
    const HttpReply reply = service->Get("/roll?die=fair");
    EXPECT_EQ(reply.status, 200);
    const Json roll = reply.json();
    EXPECT_EQ(roll["die"].Text(), "fair");
    EXPECT_THAT(roll["result"].Number(), AnyOf(1, 2, 3, 4, 5, 6));
    EXPECT_THAT(roll["trace_id"].Text(), MatchesRegex("[0-9a-f]{32}"));
    EXPECT_THAT(reply.Header("traceresponse"), HasSubstr(roll["trace_id"].Text()));
  }
}

TEST_F(Answers, RollByProbability) {
  const Json rolls = system.dice_roller.Get("/roll-async?die=weighted&times=100").json();
  EXPECT_EQ(rolls["statistics"]["distribution"]["6"].Number(), 100);
}

TEST_F(Answers, RollManyAtOnceWithStatistics) {
  for (ServiceUnderTest* service : rolling()) {
    SCOPED_TRACE(service->name());
    const HttpReply reply = service->Get("/roll-async?die=extreme&times=200");
    EXPECT_EQ(reply.status, 200);
    const Json many = reply.json();
    EXPECT_EQ(many["die"].Text(), "extreme");
    EXPECT_EQ(many["times"].Number(), 200);
    const std::vector<Json> results = many["results"].Items();
    ASSERT_EQ(results.size(), 200u);
    const auto failed =
        std::count_if(results.begin(), results.end(), [](const Json& r) { return r.IsNull(); });
    EXPECT_EQ(many["errors"].Number(), static_cast<double>(failed));
    EXPECT_GT(failed, 50);  // of 200 at an error rate of a half: a chance of 10^-13
    const auto zeros = std::count_if(results.begin(), results.end(),
                                     [](const Json& r) { return r.IsNumber() && r.Number() == 0; });
    const Json statistics = many["statistics"];
    EXPECT_EQ(statistics["count"].Number(), static_cast<double>(200 - failed));
    EXPECT_EQ(statistics["distribution"]["0"].Number(), static_cast<double>(zeros));
    EXPECT_EQ(statistics["distribution"]["6"].Number(), static_cast<double>(200 - failed - zeros));
    EXPECT_EQ(statistics["min"].Number(), 0);
    EXPECT_EQ(statistics["max"].Number(), 6);
    const double mean = 6.0 * static_cast<double>(200 - failed - zeros) / static_cast<double>(200 - failed);
    EXPECT_NEAR(statistics["mean"].Number(), mean, 1e-3);
    EXPECT_NEAR(statistics["stddev"].Number(), std::sqrt(mean * (6 - mean)), 0.05);
    EXPECT_THAT(many["trace_id"].Text(), MatchesRegex("[0-9a-f]{32}"));
  }
}

TEST_F(Answers, CallAnUnknownDieNotFoundAtItsSource) {
  for (ServiceUnderTest* service : listing()) {
    ExpectProblem(service->Get("/dice/unknown"), 404, "die-not-found", "unknown");
  }
  ExpectProblem(system.die_service.Get("/dice?identifier=unknown"), 404, "die-not-found", "unknown");
}

TEST_F(Answers, CallAnUnknownDieUnavailableFurtherUp) {
  for (ServiceUnderTest* service : rolling()) {
    SCOPED_TRACE(service->name());
    ExpectProblem(service->Get("/roll?die=unknown"), 503, "die-not-found", "unknown");
    ExpectProblem(service->Get("/roll-async?die=unknown&times=2"), 503, "die-not-found", "unknown");
  }
}

TEST_F(Answers, CallAStruckRollFailed) {
  for (ServiceUnderTest* service : rolling()) {
    SCOPED_TRACE(service->name());
    ExpectProblem(service->Get("/roll?die=broken"), 500, "roll-failed");
  }
  const Labels failed = {{"die", "broken"}, {"mode", "sync"}, {"result", "error"}};
  EXPECT_TRUE(Becomes([&] { return system.dice_roller.Metric("dice_rolls_total", failed); }, 2));
  EXPECT_FALSE(system.dice_roller.process()
                   .WaitForLog([](const Json& line) {
                     return line["message"].Text() == "Roll failed" && line["level"].Text() == "ERROR";
                   })
                   .IsNull());
}

TEST_F(Answers, CountStruckRollsAmongManyAsErrors) {
  for (ServiceUnderTest* service : rolling()) {
    SCOPED_TRACE(service->name());
    const HttpReply reply = service->Get("/roll-async?die=broken&times=10");
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.json()["errors"].Number(), 10);
    EXPECT_EQ(reply.json()["statistics"]["count"].Number(), 0);
    for (const Json& result : reply.json()["results"].Items()) EXPECT_TRUE(result.IsNull());
  }
  const Labels failed = {{"die", "broken"}, {"mode", "async"}, {"result", "error"}};
  EXPECT_TRUE(Becomes([&] { return system.dice_roller.Metric("dice_rolls_total", failed); }, 20));
}

TEST_F(Answers, NameTheParameterAtFault) {
  const std::string too_long(51, 'a');
  for (ServiceUnderTest* service : rolling()) {
    for (const std::string& query :
         {std::string(), std::string("?die="), std::string("?die=a.b"), std::string("?die=%C3%A9"),
          std::string("?die=a%20b"), "?die=" + too_long}) {
      SCOPED_TRACE(service->name() + " " + query);
      ExpectProblem(service->Get("/roll" + query), 400, "invalid-parameter", "die");
    }
    for (const char* times : {"", "&times=", "&times=0", "&times=1001", "&times=-1", "&times=1.5",
                              "&times=ten", "&times=10x", "&times=%2010", "&times=99999999999999999999"}) {
      SCOPED_TRACE(service->name() + " " + times);
      ExpectProblem(service->Get(std::string("/roll-async?die=fair") + times), 400, "invalid-parameter",
                    "times");
    }
    ExpectProblem(service->Get("/roll-async?times=3"), 400, "invalid-parameter", "die");
  }
  for (const std::string& target : {std::string("/dice/a.b"), std::string("/dice/.."), "/dice/" + too_long}) {
    for (ServiceUnderTest* service : listing()) {
      SCOPED_TRACE(service->name() + " " + target);
      ExpectProblem(service->Get(target), 400, "invalid-parameter", "die");
    }
  }
  ExpectProblem(system.die_service.Get("/dice?identifier="), 400, "invalid-parameter", "identifier");
}

TEST_F(Answers, AcceptTheLongestNameAndTheMostRolls) {
  const std::string longest(50, 'a');
  ExpectProblem(system.dice_roller.Get("/roll?die=" + longest), 503, "die-not-found");
  EXPECT_EQ(system.dice_roller.Get("/roll-async?die=fair&times=1000").json()["results"].size(), 1000u);
}

TEST_F(Answers, RefuseMalformedPercentEncoding) {
  for (ServiceUnderTest* service : rolling()) {
    SCOPED_TRACE(service->name());
    EXPECT_EQ(service->Get("/roll?die=%ZZ").status, 400);
    EXPECT_EQ(service->Get("/roll?die=fair%2").status, 400);
  }
  for (ServiceUnderTest* service : listing())
    EXPECT_EQ(service->Get("/dice/%ZZ").status, 400) << service->name();
}

TEST_F(Answers, KnowNoOtherPath) {
  for (ServiceUnderTest* service : system.services()) {
    for (const char* target : {"/nothing", "//", "/dice/fair/", "/roll/", "/metrics/x"}) {
      SCOPED_TRACE(service->name() + " " + target);
      ExpectProblem(service->Get(target), 404, "not-found");
    }
  }
}

TEST_F(Answers, AllowOnlyReading) {
  for (ServiceUnderTest* service : system.services()) {
    const std::string target = service->name() == "die-service" ? "/dice" : "/roll";
    for (const char* method : {"POST", "PUT", "DELETE", "PATCH"}) {
      SCOPED_TRACE(service->name() + " " + method);
      const HttpReply reply = Fetch(service->port(), method, target, {{"Content-Length", "0"}});
      ExpectProblem(reply, 405, "method-not-allowed");
      EXPECT_THAT(reply.Header("Allow"), HasSubstr("GET"));
    }
  }
}

TEST_F(Answers, AnswerHeadLikeGetWithoutTheBody) {
  for (ServiceUnderTest* service : listing()) {
    SCOPED_TRACE(service->name());
    HttpConnection connection(service->port());
    connection.Request("HEAD", "/dice");
    const auto head = connection.Read(5s, true);
    ASSERT_TRUE(head);
    EXPECT_EQ(head->status, 200);
    // The reply to the next request starts right after the headers of this one.
    connection.Request("GET", "/dice");
    const auto get = connection.Read();
    ASSERT_TRUE(get);
    EXPECT_EQ(head->Header("Content-Length"), std::to_string(get->body.size()));
  }
}

TEST_F(Answers, ReportHealth) {
  for (ServiceUnderTest* service : system.services()) {
    for (const char* target : {"/livez", "/readyz", "/healthz"}) {
      SCOPED_TRACE(service->name() + " " + target);
      EXPECT_EQ(service->Get(target).status, 200);
    }
  }
}

// A die-service that answers badly is played by a server of the test's own.
struct BadAnswer {
  const char* name;
  FakeReply reply;
  const char* type;
  const char* status;  ///< the label of die_service_requests_total
};

class BrokenDieService : public testing::TestWithParam<BadAnswer> {};

TEST_P(BrokenDieService, IsNamedInTheAnswer) {
  FakeServer die_service([](const FakeRequest& request) {
    return request.target == "/readyz" ? FakeReply{} : GetParam().reply;
  });
  ReservedPort no_collector;
  ServiceUnderTest dice_roller("dice-roller", CommonEnvironment(no_collector.url()));
  dice_roller.Set("DIE_SERVICE_URL", die_service.url());
  dice_roller.Set("DIE_SERVICE_TIMEOUT", "200ms");
  dice_roller.StartReady();
  ServiceUnderTest frontend("frontend", CommonEnvironment(no_collector.url()));
  frontend.Set("DIE_SERVICE_URL", die_service.url());
  frontend.Set("DICE_ROLLER_URL", dice_roller.url());
  frontend.StartReady();

  ExpectProblem(dice_roller.Get("/roll?die=fair"), 503, GetParam().type);
  ExpectProblem(frontend.Get("/roll-async?die=fair&times=3"), 503, GetParam().type);
  const Labels failed = {{"status", GetParam().status}};
  EXPECT_TRUE(Becomes([&] { return dice_roller.Metric("die_service_requests_total", failed); }, 2));
  const Json line = dice_roller.process().WaitForLog("die service request failed");
  EXPECT_EQ(line["level"].Text(), "ERROR");
}

INSTANTIATE_TEST_SUITE_P(
    Answers, BrokenDieService,
    testing::Values(
        BadAnswer{"Late", {.hang = true}, "die-service-timeout", "timeout"},
        BadAnswer{"NoJson", {.body = "<html>"}, "die-service-invalid", "invalid"},
        BadAnswer{"NotADie", {.body = R"({"identifier":"fair"})"}, "die-service-invalid", "invalid"},
        BadAnswer{"NoFaces",
                  {.body = R"({"identifier":"fair","faces":[],"error_rate":0,"probabilities":{}})"},
                  "die-service-invalid",
                  "invalid"},
        BadAnswer{"CutOff",
                  {.raw = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"identifier\":"},
                  "die-service-invalid",
                  "invalid"},
        BadAnswer{"NoHttp", {.raw = "garbage\r\n\r\n"}, "die-service-invalid", "invalid"},
        BadAnswer{"NestedWithoutEnd", {.body = std::string(500'000, '[')}, "die-service-invalid", "invalid"},
        BadAnswer{"AnotherDie",
                  {.body = R"({"identifier":"risky","faces":[1],"error_rate":0,"probabilities":{"1":1}})"},
                  "die-service-invalid",
                  "invalid"},
        BadAnswer{"FaceIsNoNumber",
                  {.body = R"({"identifier":"fair","faces":[1],"error_rate":0,"probabilities":{"1x":1}})"},
                  "die-service-invalid",
                  "invalid"},
        BadAnswer{
            "FaceBeyondAnyInteger",
            {.body = R"({"identifier":"fair","faces":[1],"error_rate":0,"probabilities":{"99999999999":1}})"},
            "die-service-invalid",
            "invalid"},
        BadAnswer{"FailsMoreThanAlways",
                  {.body = R"({"identifier":"fair","faces":[1],"error_rate":7,"probabilities":{"1":1}})"},
                  "die-service-invalid",
                  "invalid"},
        BadAnswer{
            "NegativeProbability",
            {.body = R"({"identifier":"fair","faces":[1,2],"error_rate":0,"probabilities":{"1":2,"2":-1}})"},
            "die-service-invalid",
            "invalid"},
        BadAnswer{"Failing", {.status = 500}, "die-service-invalid", "500"}),
    ParameterName<BadAnswer>);

}  // namespace
