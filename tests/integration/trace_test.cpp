// One request is one trace, from the browser's side to the database, and the logs can be joined to it.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/dice_system.h"

namespace {

using namespace support;  // NOLINT(google-build-using-namespace)
using testing::Contains;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Pair;
using testing::SizeIs;

/// The only span of that service, kind and name; fails the test and gives an empty span when there is another
/// count.
Span Only(const std::vector<Span>& spans, const std::string& service, const std::string& kind,
          const std::string& name) {
  std::vector<Span> found;
  for (const Span& span : spans) {
    if (span.service == service && span.kind == kind && span.name == name) found.push_back(span);
  }
  EXPECT_THAT(found, SizeIs(1)) << service << " " << kind << " " << name;
  return found.empty() ? Span() : found.front();
}

std::vector<std::string> Outline(const std::vector<Span>& spans) {
  std::vector<std::string> outline;
  for (const Span& span : spans) outline.push_back(span.service + " " + span.kind + " " + span.name);
  return outline;
}

void ExpectWithin(const Span& inner, const Span& outer) {
  EXPECT_EQ(inner.parent_span_id, outer.span_id) << inner.name << " in " << outer.name;
  EXPECT_LE(outer.start, inner.start);
  EXPECT_LE(inner.start, inner.end);
}

std::string TraceId(const HttpReply& reply) { return reply.json()["trace_id"].Text(); }

struct Trace : testing::Test {
  DiceSystem system;
};

TEST_F(Trace, IsExactlySevenSpansForARollOnPostgres) {
  PostgresServer postgres;
  postgres.Migrate();
  system.UsePostgres(postgres);
  system.Start();
  const HttpReply reply = system.frontend.Get("/roll?die=fair", {{"User-Agent", "trace-test"}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  const std::string trace_id = TraceId(reply);
  system.collector.WaitForSpans(trace_id, 7);
  for (ServiceUnderTest* service : system.services()) EXPECT_EQ(service->Stop(), 0);  // no span can follow
  const std::vector<Span> spans = system.collector.SpansOf(trace_id);
  ASSERT_THAT(spans, SizeIs(7)) << testing::PrintToString(Outline(spans));

  const Span front = Only(spans, "frontend", "server", "GET /roll");
  const Span to_roller = Only(spans, "frontend", "client", "GET");
  const Span roller = Only(spans, "dice-roller", "server", "GET /roll");
  const Span to_die = Only(spans, "dice-roller", "client", "GET");
  const Span die = Only(spans, "die-service", "server", "GET /dice/{die}");
  const Span select = Only(spans, "die-service", "client", "SELECT dice");
  const Span roll = Only(spans, "dice-roller", "internal", "roll");

  EXPECT_EQ(front.parent_span_id, "");
  ExpectWithin(to_roller, front);
  ExpectWithin(roller, to_roller);
  ExpectWithin(to_die, roller);
  ExpectWithin(die, to_die);
  ExpectWithin(select, die);
  ExpectWithin(roll, roller);
  for (const Span& span : spans) EXPECT_EQ(span.status, "unset") << span.name;

  using Attributes = std::map<std::string, std::string>;
  EXPECT_THAT(front.attributes, IsSupersetOf(Attributes{{"http.request.method", "GET"},
                                                        {"http.route", "/roll"},
                                                        {"url.path", "/roll"},
                                                        {"url.query", "die=fair"},
                                                        {"url.scheme", "http"},
                                                        {"http.response.status_code", "200"},
                                                        {"user_agent.original", "trace-test"}}));
  EXPECT_THAT(die.attributes,
              IsSupersetOf(Attributes{{"http.route", "/dice/{die}"},
                                      {"url.path", "/dice/fair"},
                                      {"server.address", "127.0.0.1"},
                                      {"server.port", std::to_string(system.die_service.port())}}));
  EXPECT_THAT(to_roller.attributes,
              IsSupersetOf(Attributes{{"http.request.method", "GET"},
                                      {"http.response.status_code", "200"},
                                      {"server.address", "127.0.0.1"},
                                      {"server.port", std::to_string(system.dice_roller.port())}}));
  EXPECT_EQ(to_die.Attribute("url.full"), system.die_service.url() + "/dice/fair");
  EXPECT_THAT(roll.attributes, IsSupersetOf(Attributes{{"die.type", "fair"},
                                                       {"roll.index", "0"},
                                                       {"roll.result", reply.json()["result"].Text()}}));
  EXPECT_EQ(select.Attribute("db.system"), "postgresql");
  EXPECT_EQ(select.Attribute("db.name"), "dicedb");
  EXPECT_THAT(select.Attribute("db.statement"), HasSubstr("FROM dice WHERE name = $1"));
  EXPECT_EQ(select.Attribute("db.user"), "diceuser");
  EXPECT_EQ(select.Attribute("db.system.name"), "postgresql");
  EXPECT_EQ(select.Attribute("db.namespace"), "dicedb");
  EXPECT_EQ(select.Attribute("db.query.text"), select.Attribute("db.statement"));
  EXPECT_EQ(select.Attribute("db.operation.name"), "SELECT");
  EXPECT_EQ(select.Attribute("db.collection.name"), "dice");
  for (const auto& [key, value] : select.attributes)
    EXPECT_THAT(value, testing::Not(HasSubstr("fair"))) << key;
  EXPECT_EQ(system.collector.malformed(), 0u);
}

TEST_F(Trace, ShowsOnlyStableDatabaseAttributesWhenAsked) {
  system.die_service.Set("OTEL_SEMCONV_STABILITY_OPT_IN", "database");
  PostgresServer postgres;
  postgres.Migrate();
  system.UsePostgres(postgres);
  system.die_service.StartReady();
  system.die_service.Get("/dice/fair",
                         {{"traceparent", "00-11111111111111111111111111111111-2222222222222222-01"}});
  const std::vector<Span> spans = system.collector.WaitForSpans(std::string(32, '1'), 2);
  const Span select = Only(spans, "die-service", "client", "SELECT dice");
  EXPECT_EQ(select.Attribute("db.system.name"), "postgresql");
  EXPECT_EQ(select.attributes.count("db.system"), 0u);
  EXPECT_EQ(select.attributes.count("db.statement"), 0u);
}

TEST_F(Trace, IdIsInTheLogLinesOfAllThreeServices) {
  system.Start();
  const std::string trace_id = TraceId(system.frontend.Get("/roll?die=fair"));
  const std::vector<Span> spans = system.collector.WaitForSpans(trace_id, 6);
  std::set<std::string> span_ids;
  for (const Span& span : spans) span_ids.insert(span.span_id);
  const std::map<std::string, std::vector<std::string>> expected = {
      {"frontend", {"Request handled"}},
      {"dice-roller", {"Requesting die specification from die service", "Roll completed", "Request handled"}},
      {"die-service", {"Die specification requested", "Request handled"}},
  };
  for (ServiceUnderTest* service : system.services()) {
    SCOPED_TRACE(service->name());
    for (const std::string& message : expected.at(service->name())) {
      const Json line = service->process().WaitForLog([&](const Json& candidate) {
        return candidate["message"].Text() == message && candidate["trace_id"].Text() == trace_id;
      });
      ASSERT_FALSE(line.IsNull()) << message;
      EXPECT_EQ(line["service"].Text(), service->name());
      EXPECT_EQ(line["trace_flags"].Text(), "01");
      EXPECT_THAT(span_ids, Contains(line["span_id"].Text())) << message;
      EXPECT_THAT(line["timestamp"].Text(),
                  testing::MatchesRegex("20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-9:]{8}\\.[0-9]{6}Z"));
    }
  }
}

TEST_F(Trace, OfManyRollsHasOverlappingSiblingsAndOneCallToDieService) {
  system.dice_roller.Set("DICE_ROLL_TIME", "50ms");
  system.Start();
  const HttpReply reply = system.frontend.Get("/roll-async?die=fair&times=10");
  const std::vector<Span> spans = system.collector.WaitForSpans(TraceId(reply), 15);
  ASSERT_THAT(spans, SizeIs(15)) << testing::PrintToString(Outline(spans));
  const Span roller = Only(spans, "dice-roller", "server", "GET /roll-async");
  Only(spans, "dice-roller", "client", "GET");
  Only(spans, "die-service", "server", "GET /dice/{die}");

  std::uint64_t last_start = 0;
  std::uint64_t first_end = UINT64_MAX;
  std::map<std::string, std::string> results;
  for (const Span& span : spans) {
    if (span.name != "roll") continue;
    ExpectWithin(span, roller);
    EXPECT_EQ(span.kind, "internal");
    EXPECT_EQ(span.Attribute("die.type"), "fair");
    EXPECT_GE(span.end - span.start, 50'000'000u);
    results[span.Attribute("roll.index")] = span.Attribute("roll.result");
    last_start = std::max(last_start, span.start);
    first_end = std::min(first_end, span.end);
  }
  EXPECT_LT(last_start, first_end) << "at some moment all ten were under way";
  ASSERT_THAT(results, SizeIs(10));
  for (const auto& [index, result] : results) {
    EXPECT_EQ(reply.json()["results"][std::stoul(index)].Text(), result) << index;
  }
}

TEST_F(Trace, OfAThousandRollsTakesAboutAsLongAsOne) {
  system.dice_roller.Set("DICE_ROLL_TIME", "100ms");
  system.Start();
  const Stopwatch stopwatch;
  EXPECT_EQ(system.dice_roller.Get("/roll-async?die=fair&times=1000").status, 200);
  EXPECT_GE(stopwatch.elapsed(), 100ms);
  EXPECT_LT(stopwatch.elapsed(), 1000ms);  // in turn they would take 100 s
}

TEST_F(Trace, ContinuesTheCallersAndIsPassedOn) {
  FakeServer die_service([](const FakeRequest&) {
    return FakeReply{.body = R"({"identifier":"fair","name":"fair","faces":[1],"error_rate":0,"sides":1,)"
                             R"("probabilities":{"1":1}})"};
  });
  system.dice_roller.Set("DIE_SERVICE_URL", die_service.url());
  system.frontend.Set("DIE_SERVICE_URL", die_service.url());
  system.dice_roller.StartReady();
  system.frontend.StartReady();

  const std::string trace_id = "0af7651916cd43dd8448eb211c80319c";
  const HttpReply reply =
      system.frontend.Get("/roll?die=fair", {{"traceparent", "00-" + trace_id + "-b7ad6b7169203331-01"},
                                             {"tracestate", "vendor=opaque"},
                                             {"tracestate", "other=1"},
                                             {"baggage", "synthetic_request=true,user=a%20b"}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(TraceId(reply), trace_id);

  const std::vector<Span> spans = system.collector.WaitForSpans(trace_id, 5);
  const Span front = Only(spans, "frontend", "server", "GET /roll");
  EXPECT_EQ(front.parent_span_id, "b7ad6b7169203331");
  EXPECT_EQ(front.trace_state, "vendor=opaque,other=1");
  EXPECT_EQ(reply.Header("traceresponse"), "00-" + trace_id + "-" + front.span_id + "-01");

  const Span to_die = Only(spans, "dice-roller", "client", "GET");
  const FakeRequest received = die_service.requests().back();
  EXPECT_EQ(received.Header("traceparent"), "00-" + trace_id + "-" + to_die.span_id + "-01");
  EXPECT_EQ(received.Header("tracestate"), "vendor=opaque,other=1");
  EXPECT_THAT(received.Header("baggage"), HasSubstr("synthetic_request=true"));
  EXPECT_THAT(received.Header("baggage"), HasSubstr("user=a%20b"));
}

TEST_F(Trace, RespectsACallerWhoDoesNotSample) {
  system.Start();
  const std::string unsampled(32, 'a');
  const HttpReply reply =
      system.frontend.Get("/roll?die=fair", {{"traceparent", "00-" + unsampled + "-b7ad6b7169203331-00"}});
  EXPECT_EQ(TraceId(reply), unsampled);
  // A later trace that has arrived shows that the earlier one would have.
  const std::string sampled = TraceId(system.frontend.Get("/roll?die=fair"));
  ASSERT_THAT(system.collector.WaitForSpans(sampled, 6), SizeIs(6));
  EXPECT_THAT(system.collector.SpansOf(unsampled), SizeIs(0));
  for (ServiceUnderTest* service : system.services()) {
    const Json line = service->process().WaitForLog(
        [&](const Json& candidate) { return candidate["trace_id"].Text() == unsampled; });
    EXPECT_EQ(line["trace_flags"].Text(), "00") << service->name();
  }
}

TEST_F(Trace, StartsAfreshFromAMalformedParent) {
  system.die_service.StartReady();
  for (const char* parent : {"garbage", "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                             "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}) {
    const HttpReply reply = system.die_service.Get("/dice", {{"traceparent", parent}});
    EXPECT_EQ(reply.status, 200);
    EXPECT_THAT(reply.Header("traceresponse"), testing::Not(HasSubstr("0af7651916cd43dd8448eb211c80319c")));
  }
}

TEST_F(Trace, MarksAFailedRollOnEverySpanAboveIt) {
  system.Start();
  const HttpReply reply = system.frontend.Get("/roll?die=broken");
  const std::vector<Span> spans = system.collector.WaitForSpans(TraceId(reply), 6);
  EXPECT_EQ(Only(spans, "dice-roller", "internal", "roll").status, "error");
  EXPECT_EQ(Only(spans, "dice-roller", "internal", "roll").Attribute("error.type"), "roll-failed");
  EXPECT_EQ(Only(spans, "dice-roller", "server", "GET /roll").status, "error");
  EXPECT_EQ(Only(spans, "frontend", "client", "GET").status, "error");
  EXPECT_EQ(Only(spans, "frontend", "server", "GET /roll").status, "error");
  EXPECT_EQ(Only(spans, "die-service", "server", "GET /dice/{die}").status, "unset");
}

TEST_F(Trace, OfACallersMistakeIsNoErrorOfTheServer) {
  system.Start();
  const HttpReply reply = system.die_service.Get("/dice/unknown");
  const std::vector<Span> spans = system.collector.WaitForSpans(TraceId(reply), 1);
  EXPECT_EQ(Only(spans, "die-service", "server", "GET /dice/{die}").status, "unset");
  // The client that was told 404 did not get what it asked for.
  const HttpReply above = system.dice_roller.Get("/roll?die=unknown");
  const std::vector<Span> chain = system.collector.WaitForSpans(TraceId(above), 3);
  EXPECT_EQ(Only(chain, "dice-roller", "client", "GET").status, "error");
  EXPECT_EQ(Only(chain, "dice-roller", "server", "GET /roll").status, "error");
}

TEST_F(Trace, FollowsTheSamplerOfTheEnvironment) {
  system.die_service.Set("OTEL_TRACES_SAMPLER", "traceidratio");
  system.die_service.Set("OTEL_TRACES_SAMPLER_ARG", "0.5");
  system.die_service.StartReady();
  for (int i = 0; i < 200; ++i) system.die_service.Get("/dice");
  EXPECT_EQ(system.die_service.Stop(), 0);
  const std::size_t count = system.collector.Spans().size();
  EXPECT_GT(count, 60u);  // 100 with a standard deviation of 7
  EXPECT_LT(count, 140u);
}

TEST_F(Trace, IsNotExportedWhenSwitchedOff) {
  system.die_service.Set("OTEL_TRACES_EXPORTER", "none");
  system.die_service.StartReady();
  EXPECT_EQ(system.die_service.Get("/dice").status, 200);
  EXPECT_EQ(system.die_service.Stop(), 0);
  EXPECT_EQ(system.collector.exports(), 0u);
}

TEST_F(Trace, NamesTheServiceAndItsVersion) {
  system.die_service.Set("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test");
  system.die_service.StartReady();
  const HttpReply reply = system.die_service.Get("/dice/unknown");
  const std::vector<Span> spans = system.collector.WaitForSpans(TraceId(reply), 1);
  ASSERT_THAT(spans, SizeIs(1));
  EXPECT_EQ(spans[0].service, "die-service");
  EXPECT_NE(spans[0].resource.at("service.version"), "");
  EXPECT_THAT(spans[0].resource, Contains(Pair("deployment.environment.name", "test")));
}

TEST_F(Trace, LeavesProbesAndScrapesOut) {
  system.die_service.StartReady();
  for (const char* target : {"/livez", "/readyz", "/healthz", "/metrics"}) system.die_service.Get(target);
  const std::string trace_id = TraceId(system.die_service.Get("/dice/unknown"));
  ASSERT_THAT(system.collector.WaitForSpans(trace_id, 1), SizeIs(1));
  EXPECT_THAT(system.collector.Spans(), SizeIs(1));
}

}  // namespace
