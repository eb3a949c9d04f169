// What is lost when spans end faster than a collector takes them: whole traces, each loss counted.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <future>
#include <string>

#include "support/fake_server.h"
#include "unit/trace/telemetry.h"

namespace obs::trace {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using support::Eventually;
using testing::Gt;
using testing::SizeIs;

/// A trace that is lost only when there is no room at all.
std::string LastToLose(int n) { return fmt::format("0af7651916cd43ddffffffff{:08x}", n); }
/// A trace that is lost as soon as any is.
std::string FirstToLose(int n) { return fmt::format("0af7651916cd43dd00000000{:08x}", n); }

/// A collector that answers nothing until it is told to, beside a service with a queue of 16 spans.
class Shedding : public testing::Test {
 protected:
  ~Shedding() override { Release(); }

  void Release() {
    if (!released_) promise_.set_value();
    released_ = true;
  }
  /// Lets `count` spans wait that are not in the way of any test's trace.
  void Fill(int count) {
    for (int i = 0; i < count; ++i) telemetry_.RecordBelow(LastToLose(1000 + i));
    ASSERT_EQ(telemetry_.Waiting(), count);
  }

  bool released_ = false;
  std::promise<void> promise_;
  std::shared_future<void> future_ = promise_.get_future().share();
  support::FakeServer server_{[future = future_](const support::FakeRequest&) {
    future.wait();
    return support::FakeReply{.body = ""};
  }};
  Telemetry telemetry_{Config{.queue_size = 16,
                              .batch_size = 4,
                              .schedule_delay = 20ms,
                              .export_timeout = 60s,
                              .otlp_endpoint = server_.url() + "/v1/traces"}};
};

TEST_F(Shedding, DropsAndCountsEverySpanThatTheQueueHasNoRoomFor) {
  for (int i = 0; i < 1000; ++i) telemetry_.RecordBelow(LastToLose(i));
  EXPECT_EQ(telemetry_.Waiting(), 16);
  EXPECT_EQ(telemetry_.Dropped(), 1000 - 16);
  EXPECT_EQ(telemetry_.Unsampled(), 0) << "these traces began elsewhere";
  EXPECT_FALSE(telemetry_.provider().Shutdown(1ms));
  EXPECT_TRUE(Eventually([&] { return telemetry_.Failed() == 16; }));
  EXPECT_EQ(telemetry_.Waiting(), 0);
  EXPECT_EQ(telemetry_.Dropped(), 1000 - 16);
}

TEST_F(Shedding, BeginsNoTraceWhileTheQueueFills) {
  telemetry_.Record(1000);
  EXPECT_EQ(telemetry_.Waiting(), 12) << "three quarters of it";
  EXPECT_EQ(telemetry_.Dropped(), 0);
  EXPECT_EQ(telemetry_.Unsampled(), 1000 - 12);
  const Span root = telemetry_.Start("GET /roll");
  EXPECT_FALSE(root.recording());
  EXPECT_THAT(telemetry_.Inject(root.context()).at("traceparent"), testing::EndsWith("-00"))
      << "what services below go by";
  telemetry_.RecordBelow(LastToLose(1));
  EXPECT_EQ(telemetry_.Waiting(), 13) << "what began elsewhere goes on";
  Release();
  EXPECT_TRUE(Eventually([&] { return telemetry_.Exported() == 13; }));
  EXPECT_TRUE(telemetry_.Start("GET /roll").recording());
}

TEST_F(Shedding, LeavesOutTheSpansBelowARootThatWasLeftOut) {
  Telemetry always({.sampler = "always_on",
                    .queue_size = 4,
                    .batch_size = 2,
                    .export_timeout = 60s,
                    .otlp_endpoint = server_.url() + "/v1/traces"});
  always.Record(10);
  ASSERT_EQ(always.Waiting(), 3);
  const Span root = always.Start("GET /roll");
  EXPECT_FALSE(always.Start("roll", root.context()).recording()) << "though the sampler asks no parent";
  EXPECT_EQ(always.Unsampled(), 7 + 1) << "traces, not spans";
  Release();
}

TEST_F(Shedding, ChoosesTracesByTheirIdWhenTheQueueIsNearlyFull) {
  Fill(14);
  telemetry_.RecordBelow(FirstToLose(1));
  EXPECT_EQ(telemetry_.Dropped(), 0) << "up to seven eighths there is room for all";
  telemetry_.RecordBelow(FirstToLose(2));
  telemetry_.RecordBelow(FirstToLose(2));
  EXPECT_EQ(telemetry_.Dropped(), 2);
  telemetry_.RecordBelow(LastToLose(1));
  EXPECT_EQ(telemetry_.Dropped(), 2);
  EXPECT_EQ(telemetry_.Waiting(), 16);
}

TEST_F(Shedding, LosesTheRestOfATraceOnceItLostASpan) {
  Fill(16);
  telemetry_.RecordBelow(LastToLose(1));
  ASSERT_EQ(telemetry_.Dropped(), 1);
  Release();
  ASSERT_TRUE(Eventually([&] { return telemetry_.Waiting() == 0; }));
  telemetry_.RecordBelow(LastToLose(1));
  EXPECT_EQ(telemetry_.Dropped(), 2);
  telemetry_.RecordBelow(LastToLose(2));
  EXPECT_TRUE(Eventually([&] { return telemetry_.Exported() == 16 + 1; })) << "other traces are kept";
  EXPECT_EQ(telemetry_.Dropped(), 2);
}

TEST_F(Shedding, IsSaidInTheLogOnce) {
  telemetry_.Record(15);
  for (int i = 0; i < 20; ++i) telemetry_.RecordBelow(LastToLose(i));
  const std::string message = "Traces are left out because too many spans wait for the collector";
  ASSERT_TRUE(Eventually([&] { return !telemetry_.Lines(message).empty(); }));
  telemetry_.RecordBelow(LastToLose(21));
  Release();
  ASSERT_TRUE(Eventually([&] { return telemetry_.Waiting() == 0; }));
  const auto lines = telemetry_.Lines(message);
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_EQ(lines[0]["level"].Text(), "WARN");
  EXPECT_THAT(lines[0]["traces"].Number() + lines[0]["spans"].Number(), Gt(0));
}

TEST_F(Shedding, IsBoundedInBytesToo) {
  Telemetry small({.queue_size = 1000,
                   .queue_bytes = 10'000,
                   .batch_size = 100,
                   .export_timeout = 60s,
                   .otlp_endpoint = server_.url() + "/v1/traces"});
  const std::string text(950, 'x');
  for (int i = 0; i < 100; ++i) small.RecordBelow(LastToLose(i), {{"text", std::string_view(text)}});
  EXPECT_EQ(small.Waiting(), 9) << "each is somewhat more than 1000 bytes";
  EXPECT_EQ(small.Dropped(), 100 - 9);
  small.Record(10);
  EXPECT_EQ(small.Unsampled(), 10);
  Release();
}

}  // namespace
}  // namespace obs::trace
