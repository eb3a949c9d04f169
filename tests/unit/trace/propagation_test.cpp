#include <gmock/gmock.h>

#include "unit/trace/telemetry.h"

namespace obs::trace {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Key;
using testing::Not;
using testing::Pair;
using testing::StartsWith;
using testing::UnorderedElementsAre;

constexpr char kTraceId[] = "0af7651916cd43dd8448eb211c80319c";
constexpr char kTraceparent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

Config Propagating(const std::string& propagators) {
  return {.exporter = "none", .propagators = propagators};
}

TEST(Propagator, ContinuesATraceByTraceparent) {
  Telemetry telemetry;
  const Context parent = telemetry.Extract({{"traceparent", kTraceparent}});
  ASSERT_TRUE(parent.valid());
  EXPECT_TRUE(parent.sampled());
  const Span span = telemetry.Start("GET /roll", parent);
  EXPECT_EQ(TraceId(span), kTraceId);
  EXPECT_THAT(telemetry.Inject(span.context()),
              ElementsAre(Pair("traceparent", "00-" + TraceId(span) + "-" + SpanId(span) + "-01")));
}

TEST(Propagator, CarriesTracestateThroughSpans) {
  Telemetry telemetry;
  const Context parent =
      telemetry.Extract({{"traceparent", kTraceparent}, {"tracestate", "congo=t61rcWkgMzE,rojo=00f067"}});
  const Span span = telemetry.Start("GET /roll", telemetry.Start("outer", parent).context());
  EXPECT_THAT(telemetry.Inject(span.context()),
              Contains(Pair("tracestate", "congo=t61rcWkgMzE,rojo=00f067")));
}

TEST(Propagator, TakesAMalformedTraceparentForNone) {
  Telemetry telemetry;
  for (const std::string value : {
           "",
           "-",
           "---",
           "00",
           "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
           "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
           "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
           "00-00000000000000000000000000000000-b7ad6b7169203331-01",
           "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
           "00-0af7651916cd43dd8448eb211c80319-b7ad6b71692033311-01",
           "00-zaf7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
           "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
           "\xff\xfe\xfd",
       }) {
    EXPECT_FALSE(telemetry.Extract({{"traceparent", value}}).valid()) << value;
  }
  EXPECT_FALSE(telemetry.Extract({{"traceparent", std::string(100000, '-')}}).valid());
}

TEST(Propagator, ReadsATraceparentOfALaterVersion) {
  Telemetry telemetry;
  const std::string later = "cc" + std::string(kTraceparent).substr(2) + "-what-the-future-brings";
  EXPECT_TRUE(telemetry.Extract({{"traceparent", later}}).valid());
}

TEST(Propagator, DropsATracestateThatIsMalformedAndKeepsTheParent) {
  Telemetry telemetry;
  for (const std::string value : {"no equals sign", "UPPER=1", "a=1,,,=", "\xff=1"}) {
    const Context parent = telemetry.Extract({{"traceparent", kTraceparent}, {"tracestate", value}});
    EXPECT_TRUE(parent.valid()) << value;
    EXPECT_THAT(telemetry.Inject(parent), Not(Contains(Key("tracestate")))) << value;
  }
}

TEST(Propagator, CarriesBaggageByteForByteWithAndWithoutATrace) {
  Telemetry telemetry;
  const std::string baggage = "user=al%20ice;private,path=/a/b?c:d,die=fair;x=1;y";
  const Context alone = telemetry.Extract({{"baggage", baggage}});
  EXPECT_FALSE(alone.valid());
  EXPECT_THAT(telemetry.Inject(alone), ElementsAre(Pair("baggage", baggage)));
  const Span span = telemetry.Start("roll", telemetry.Start("GET /roll", alone).context());
  EXPECT_THAT(telemetry.Inject(span.context()),
              AllOf(Contains(Pair("baggage", baggage)), Contains(Key("traceparent"))));
}

TEST(Propagator, LeavesMalformedMembersOutOfBaggage) {
  Telemetry telemetry;
  const auto carried = [&telemetry](const std::string& baggage) {
    return telemetry.Inject(telemetry.Extract({{"baggage", baggage}}));
  };
  EXPECT_THAT(carried(" a=1 , b , =2, c d=3, e=\"4\", f=\xc3\xa4, g=7"),
              ElementsAre(Pair("baggage", "a=1,g=7")));
  EXPECT_THAT(carried("h=1\r\nx-evil: 1"), IsEmpty());
  EXPECT_THAT(carried(",;,=,;="), IsEmpty());
}

TEST(Propagator, BoundsBaggageAsW3cDoes) {
  Telemetry telemetry;
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "k" + std::to_string(i) + "=v,";
  const std::string carried = telemetry.Inject(telemetry.Extract({{"baggage", many}}))["baggage"];
  EXPECT_EQ(std::count(carried.begin(), carried.end(), '='), 64);

  const std::string large = "a=1,b=" + std::string(8192, 'x') + ",c=3";
  EXPECT_THAT(telemetry.Inject(telemetry.Extract({{"baggage", large}})),
              ElementsAre(Pair("baggage", "a=1,c=3")));
}

TEST(Propagator, SpeaksB3InOneHeader) {
  Telemetry telemetry(Propagating("b3"));
  const Context parent = telemetry.Extract({{"b3", std::string(kTraceId) + "-b7ad6b7169203331-1"}});
  const Span span = telemetry.Start("roll", parent);
  EXPECT_EQ(TraceId(span), kTraceId);
  EXPECT_THAT(telemetry.Inject(span.context()),
              ElementsAre(Pair("b3", TraceId(span) + "-" + SpanId(span) + "-1")));
}

TEST(Propagator, SpeaksB3InSeveralHeaders) {
  Telemetry telemetry(Propagating("b3multi"));
  const Context parent = telemetry.Extract(
      {{"X-B3-TraceId", kTraceId}, {"X-B3-SpanId", "b7ad6b7169203331"}, {"X-B3-Sampled", "1"}});
  const Span span = telemetry.Start("roll", parent);
  EXPECT_EQ(TraceId(span), kTraceId);
  EXPECT_THAT(telemetry.Inject(span.context()),
              UnorderedElementsAre(Pair("X-B3-TraceId", kTraceId), Pair("X-B3-SpanId", SpanId(span)),
                                   Pair("X-B3-Sampled", "1")));
}

TEST(Propagator, SpeaksJaeger) {
  Telemetry telemetry(Propagating("jaeger"));
  const Context parent =
      telemetry.Extract({{"uber-trace-id", std::string(kTraceId) + ":b7ad6b7169203331:0:1"}});
  const Span span = telemetry.Start("roll", parent);
  EXPECT_EQ(TraceId(span), kTraceId);
  EXPECT_THAT(telemetry.Inject(span.context()),
              ElementsAre(Pair("uber-trace-id", TraceId(span) + ":" + SpanId(span) + ":0:01")));
}

TEST(Propagator, TakesMalformedB3AndJaegerForNone) {
  Telemetry telemetry(Propagating("b3,b3multi,jaeger"));
  for (const std::string value : {"", "0", "-", "--", ":::", "x-y-1", "0:0:0:0", "1:2:3:zz", "\xff"}) {
    EXPECT_FALSE(telemetry.Extract({{"b3", value}, {"uber-trace-id", value}}).valid()) << value;
    EXPECT_FALSE(telemetry.Extract({{"X-B3-TraceId", value}, {"X-B3-SpanId", value}}).valid()) << value;
  }
}

TEST(Propagator, WritesEveryFormatThatIsConfigured) {
  Telemetry telemetry(Propagating("tracecontext,b3,jaeger,baggage"));
  const Context parent = telemetry.Extract({{"traceparent", kTraceparent}, {"baggage", "a=1"}});
  EXPECT_THAT(telemetry.Inject(parent), UnorderedElementsAre(Key("traceparent"), Key("b3"),
                                                             Key("uber-trace-id"), Pair("baggage", "a=1")));
}

TEST(Propagator, NoneReadsAndWritesNothing) {
  Telemetry telemetry(Propagating("none"));
  EXPECT_FALSE(telemetry.Extract({{"traceparent", kTraceparent}, {"baggage", "a=1"}}).valid());
  EXPECT_THAT(telemetry.Inject(telemetry.Start("roll").context()), IsEmpty());
}

TEST(Propagator, HandsATraceOnWhenTheSdkIsDisabled) {
  Telemetry telemetry({.disabled = true});
  const Context parent = telemetry.Extract({{"traceparent", kTraceparent}, {"baggage", "a=1"}});
  const Span span = telemetry.Start("GET /roll", parent);
  EXPECT_FALSE(span.recording());
  EXPECT_EQ(TraceId(span), kTraceId);
  EXPECT_THAT(telemetry.Inject(span.context()),
              UnorderedElementsAre(Pair("traceparent", kTraceparent), Pair("baggage", "a=1")));
  EXPECT_FALSE(telemetry.Start("GET /roll").context().valid());
}

TEST(Propagator, AnswersWithTraceresponse) {
  Telemetry telemetry;
  const Span span = telemetry.Start("GET /roll");
  EXPECT_EQ(TraceResponse(span.correlation()), "00-" + TraceId(span) + "-" + SpanId(span) + "-01");
  EXPECT_EQ(TraceResponse({}), "");
}

}  // namespace
}  // namespace obs::trace
