// What frontend tells its page of a request and of the services, from the services themselves or from a
// store.
#include <gmock/gmock.h>

#include <set>
#include <string>

#include "support/dice_system.h"
#include "support/sanitized.h"

namespace {

using namespace support;  // NOLINT(google-build-using-namespace)
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::UnorderedElementsAre;

const std::string kUnknown = "4bf92f3577b34da6a3ce929d0e0e4736";

struct Page : testing::Test {
  void StartWithBuffers() {
    for (ServiceUnderTest* service : system.services()) service->Set("TRACE_BUFFER_BYTES", "1000000");
    system.Start();
  }
  Json Ask(const std::string& target) {
    const HttpReply reply = system.frontend.Get(target);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return reply.json();
  }
  std::string Roll(const std::string& target = "/roll?die=fair") {
    return system.frontend.Get(target).json()["trace_id"].Text();
  }

  DiceSystem system;
};

std::multiset<std::string> Outline(const Json& trace) {
  std::multiset<std::string> outline;
  for (const Json& span : trace["spans"].Items()) {
    outline.insert(span["service"].Text() + " " + span["kind"].Text() + " " + span["name"].Text());
  }
  return outline;
}

std::multiset<std::string> Messages(const Json& trace) {
  std::multiset<std::string> messages;
  for (const Json& line : trace["logs"].Items()) messages.insert(line["message"].Text());
  return messages;
}

TEST_F(Page, IsShownATraceInTheMomentOfTheReply) {
  StartWithBuffers();
  const std::string trace_id = Roll();
  const Json trace = Ask("/page/traces/" + trace_id);
  EXPECT_EQ(trace["trace_id"].Text(), trace_id);
  EXPECT_THAT(Outline(trace),
              UnorderedElementsAre("frontend server GET /roll", "frontend client GET",
                                   "dice-roller server GET /roll", "dice-roller client GET",
                                   "dice-roller internal roll", "die-service server GET /dice/{die}"));
  EXPECT_THAT(Messages(trace),
              UnorderedElementsAre("Request handled", "Requesting die specification from die service",
                                   "Request handled", "Roll completed", "Request handled",
                                   "Die specification requested"));
  EXPECT_EQ(trace["unreachable"].Text(), "[]");
}

TEST_F(Page, IsShownTheLevelAndSpanOfEachLine) {
  StartWithBuffers();
  const Json trace = Ask("/page/traces/" + Roll("/roll?die=broken"));
  std::set<std::string> ids;
  bool failed = false;
  for (const Json& span : trace["spans"].Items()) {
    ids.insert(span["id"].Text());
    failed = failed || (span["name"].Text() == "roll" && span["error"].True());
  }
  EXPECT_TRUE(failed);
  for (const Json& line : trace["logs"].Items()) EXPECT_TRUE(ids.count(line["span_id"].Text())) << line;
  EXPECT_THAT(Messages(trace), testing::Contains("Roll failed"));
}

TEST_F(Page, LeavesNoTracesByAsking) {
  StartWithBuffers();
  const std::string trace_id = Roll();
  for (int i = 0; i < 3; ++i) {
    Ask("/page/traces/" + trace_id);
    Ask("/page/metrics");
  }
  system.collector.WaitForSpans(trace_id, 6);
  for (ServiceUnderTest* service : system.services()) EXPECT_EQ(service->Stop(), 0);
  EXPECT_THAT(system.collector.Spans(), SizeIs(6));
  for (ServiceUnderTest* service : system.services()) {
    for (const Json& line : service->process().Logs()) {
      EXPECT_THAT(line["path"].Text(), Not(HasSubstr("/page/"))) << line;
    }
  }
}

TEST_F(Page, IsToldWhichServiceCouldNotBeAsked) {
  StartWithBuffers();
  const std::string trace_id = Roll();
  system.die_service.Stop();
  const Json trace = Ask("/page/traces/" + trace_id);
  EXPECT_EQ(trace["unreachable"].Text(), R"(["die-service"])");
  EXPECT_THAT(trace["spans"].Items(), SizeIs(5));
  EXPECT_TRUE(Ask("/page/metrics")["die-service"].IsNull());
}

TEST_F(Page, GetsAnEmptyTraceForAnIdThatNobodyKnows) {
  StartWithBuffers();
  const Json trace = Ask("/page/traces/" + kUnknown);
  EXPECT_THAT(trace["spans"].Items(), IsEmpty());
  EXPECT_EQ(trace["unreachable"].Text(), "[]");
  EXPECT_EQ(system.dice_roller.Get("/traces/" + kUnknown).status, 404);
  for (const char* id :
       {"nonsense", "4BF92F3577B34DA6A3CE929D0E0E4736", "4bf92f3577b34da6a3ce929d0e0e473%2F"}) {
    EXPECT_EQ(system.frontend.Get("/page/traces/" + std::string(id)).status, 400) << id;
  }
}

TEST_F(Page, FindsNothingWithoutABufferWhichIsTheDefault) {
  system.Start();
  const std::string trace_id = Roll();
  EXPECT_EQ(Ask("/page/settings")["traces"].Text(), "none");
  EXPECT_THAT(Ask("/page/traces/" + trace_id)["spans"].Items(), IsEmpty());
  for (ServiceUnderTest* service : system.services()) {
    EXPECT_EQ(service->Get("/traces/" + trace_id).status, 404);
  }
}

TEST_F(Page, IsShownTheTraceOfAStore) {
  FakeServer store([](const FakeRequest& request) {
    if (request.target != "/prefix/api/traces/" + kUnknown) return FakeReply{.status = 404};
    return FakeReply{.body = R"({"batches":[{"resource":{"attributes":[{"key":"service.name",)"
                             R"("value":{"stringValue":"elsewhere"}}]},"scopeSpans":[{"spans":[)"
                             R"({"spanId":"APBnqgupArg=","name":"far","kind":"SPAN_KIND_SERVER"}]}]}]})"};
  });
  system.frontend.Set("TRACE_QUERY_URL", store.url() + "/prefix/");
  system.Start();
  EXPECT_EQ(Ask("/page/settings")["traces"].Text(), "store");
  EXPECT_THAT(Outline(Ask("/page/traces/" + kUnknown)), UnorderedElementsAre("elsewhere server far"));
  EXPECT_THAT(Ask("/page/traces/" + Roll())["spans"].Items(), IsEmpty()) << "it is not there yet";
}

TEST_F(Page, IsShownWhatAStoreAndTheBuffersKnowTogether) {
  FakeServer store([this](const FakeRequest& request) {
    // What dice-roller knows, and one span more.
    constexpr std::string_view kSpans = R"("spans":[)";
    const std::string trace_id = request.target.substr(request.target.rfind('/') + 1);
    std::string body = system.dice_roller.Get("/traces/" + trace_id).body;
    body.insert(body.find(kSpans) + kSpans.size(), R"({"spanId":"00f067aa0ba902b7","name":"proxy"},)");
    return FakeReply{.body = body};
  });
  system.frontend.Set("TRACE_QUERY_URL", store.url());
  StartWithBuffers();
  const Json trace = Ask("/page/traces/" + Roll());
  EXPECT_THAT(trace["spans"].Items(), SizeIs(7)) << "each span once";
  EXPECT_THAT(Outline(trace), testing::Contains("dice-roller internal proxy"));
}

TEST_F(Page, IsShownTheLinesOfALogStore) {
  FakeServer store([](const FakeRequest& request) {
    constexpr std::string_view kAsked =
        "/loki/api/v1/query_range?direction=forward&limit=2000&query="
        "%7Bservice_name%3D~%22frontend%7Cdice-roller%7Cdie-service%22%7D%20%7C%3D%20%"
        "604bf92f3577b34da6a3ce929d0e0e4736%60";
    EXPECT_EQ(request.target, kAsked);
    return FakeReply{
        .body = R"({"data":{"resultType":"streams","result":[{"stream":{},"values":[["1",)"
                R"("{\"message\":\"stored\",\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\"}"]]}]}})"};
  });
  system.frontend.Set("LOG_QUERY_URL", store.url());
  system.Start();
  EXPECT_EQ(Ask("/page/settings")["logs"].Text(), "store");
  EXPECT_EQ(Ask("/page/settings")["traces"].Text(), "none");
  EXPECT_THAT(Messages(Ask("/page/traces/" + kUnknown)), UnorderedElementsAre("stored"));
}

class BadStore : public Page, public testing::WithParamInterface<FakeReply> {};

TEST_P(BadStore, IsToldToThePage) {
  FakeServer store([](const FakeRequest&) { return GetParam(); });
  system.frontend.Set("TRACE_QUERY_URL", store.url());
  system.frontend.Set("LOG_QUERY_URL", store.url());
  system.Start();
  const Stopwatch watch;
  const Json trace = Ask("/page/traces/" + kUnknown);
  EXPECT_EQ(trace["unreachable"].Text(), R"(["trace store","log store"])");
  EXPECT_THAT(trace["spans"].Items(), IsEmpty());
  EXPECT_LT(watch.elapsed(), 8s) << "nobody waits long for it";
}

INSTANTIATE_TEST_SUITE_P(Page, BadStore,
                         testing::Values(FakeReply{.status = 500}, FakeReply{.body = "<html>"},
                                         FakeReply{.hang = true}, FakeReply{.raw = "nonsense"}));

TEST_F(Page, IsShownTheMetricsItDraws) {
  StartWithBuffers();
  Roll();
  const Json metrics = Ask("/page/metrics");
  EXPECT_THAT(metrics.Names(), UnorderedElementsAre("frontend", "dice-roller", "die-service"));
  for (const Json& text : metrics.Items()) {
    EXPECT_THAT(text.Text(), HasSubstr("http_requests_total{"));
    EXPECT_THAT(text.Text(), HasSubstr("http_request_duration_seconds_bucket{"));
    EXPECT_THAT(text.Text(), Not(HasSubstr("process_")));
  }
  EXPECT_TRUE(Becomes([this] { return Ask("/page/metrics")["dice-roller"].Text(); },
                      HasSubstr("http_requests_total{method=\"GET\",route=\"/roll\",status=\"200\"} 1\n")));
}

TEST_F(Page, IsToldItsLinks) {
  system.frontend.Set("TRACE_LINK", "http://127.0.0.1:3000/explore?q={trace_id}&a=\"b\"");
  system.Start();
  const Json links = Ask("/page/settings")["links"];
  EXPECT_EQ(links["trace"].Text(), "http://127.0.0.1:3000/explore?q={trace_id}&a=\"b\"");
  EXPECT_EQ(links["logs"].Text(), "");
  EXPECT_EQ(links["dashboard"].Text(), "");
}

TEST_F(Page, TakesNoLinkThatWouldRun) {
  for (const char* name : {"TRACE_LINK", "LOGS_LINK", "DASHBOARD_LINK", "TRACE_QUERY_URL", "LOG_QUERY_URL"}) {
    Process process({ProgramPath("frontend")}, {{name, "javascript:alert(1)"}});
    EXPECT_EQ(process.Wait(), 1);
    EXPECT_TRUE(Eventually([&] { return process.Errors().find(name) != std::string::npos; })) << name;
  }
}

TEST_F(Page, CostsABoundedAmountOfMemory) {
  for (ServiceUnderTest* service : system.services()) service->Set("TRACE_BUFFER_BYTES", "1000000");
  system.die_service.StartReady();
  const auto ask = [this](int times) {
    std::string trace_id;
    for (int i = 0; i < times; ++i) {
      // traceresponse: 00-<trace id>-…
      trace_id = system.die_service.Get("/dice/fair").Header("traceresponse").substr(3, 32);
    }
    return trace_id;
  };
  const std::string oldest = ask(1);
  EXPECT_EQ(system.die_service.Get("/traces/" + oldest).status, 200);
  ask(2000);  // more than the buffer holds
  const std::size_t before = system.die_service.process().resident_bytes();
  const std::string newest = ask(2000);
  if (!kSanitized) {
    EXPECT_LT(system.die_service.process().resident_bytes(), before + (std::size_t{1} << 20));
  }
  EXPECT_EQ(system.die_service.Get("/traces/" + oldest).status, 404);
  EXPECT_EQ(system.die_service.Get("/traces/" + newest).status, 200);
}

}  // namespace
