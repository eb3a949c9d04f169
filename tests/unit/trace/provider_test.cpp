#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "support/fake_server.h"
#include "support/otlp_receiver.h"
#include "support/socket.h"
#include "support/temporary_file.h"
#include "support/tls_server.h"
#include "unit/trace/telemetry.h"

namespace obs::trace {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using support::Eventually;
using support::OtlpReceiver;
using support::Stopwatch;
using testing::IsEmpty;
using testing::SizeIs;

Config ExportingTo(const std::string& url) {
  return {.queue_size = 16, .batch_size = 4, .schedule_delay = 20ms, .otlp_endpoint = url + "/v1/traces"};
}

/// The same, without a second attempt: the first pause is longer.
Config TryingOnce(const std::string& url) {
  Config config = ExportingTo(url);
  config.export_timeout = 50ms;
  return config;
}

/// The bytes of an answer that asks for `seconds` of patience.
support::FakeReply Later(int seconds) {
  return {.raw = "HTTP/1.1 503 Later\r\nRetry-After: " + std::to_string(seconds) +
                 "\r\nContent-Length: 0\r\n\r\n"};
}

/// Sends what the program writes to stderr into a string.
class Stderr {
 public:
  Stderr() { testing::internal::CaptureStderr(); }
  ~Stderr() { EXPECT_EQ(testing::internal::GetCapturedStderr(), ""); }
};

TEST(Provider, ShowsItsMetricsBeforeTheFirstSpan) {
  Telemetry telemetry(ExportingTo(support::ReservedPort().url()));
  EXPECT_EQ(telemetry.Exported(), 0);
  EXPECT_EQ(telemetry.Failed(), 0);
  EXPECT_EQ(telemetry.Dropped(), 0);
  EXPECT_EQ(telemetry.Waiting(), 0);
  EXPECT_EQ(telemetry.Metric("otel_sdk_processor_span_queue_capacity"), 16);
}

TEST(Provider, CountsWhatTheCollectorTook) {
  OtlpReceiver receiver;
  Telemetry telemetry(ExportingTo(receiver.url()));
  telemetry.Record(10);
  EXPECT_TRUE(Eventually([&] { return telemetry.Exported() == 10; }));
  EXPECT_EQ(telemetry.Waiting(), 0);
  EXPECT_THAT(receiver.Spans(), SizeIs(10));
}

TEST(Provider, CountsSpansAsFailedWhenTheCollectorRefusesThem) {
  OtlpReceiver receiver(OtlpReceiver::Mode::kRefusing);
  Telemetry telemetry(TryingOnce(receiver.url()));
  telemetry.Record(10);
  EXPECT_TRUE(Eventually([&] { return telemetry.Failed() == 10; }));
  EXPECT_EQ(telemetry.Exported(), 0);
}

TEST(Provider, CountsSpansThatTheCollectorRejectsAsFailedAndLogsWhy) {
  OtlpReceiver receiver(OtlpReceiver::Mode::kPicky);
  Telemetry telemetry(ExportingTo(receiver.url()));
  telemetry.Record(12);
  EXPECT_TRUE(telemetry.provider().Shutdown(support::kPatience));
  EXPECT_EQ(telemetry.Exported(), receiver.Spans().size())
      << "one a request; what was rejected is not sent again";
  EXPECT_EQ(telemetry.Failed(), 12 - telemetry.Exported());
  EXPECT_GT(telemetry.Failed(), 0);
  const auto lines = telemetry.Lines("Spans could not be exported");
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_THAT(lines[0]["error"].Text(), testing::HasSubstr("no room"));
}

TEST(Provider, LogsAWarningOfTheCollectorOnce) {
  support::FakeServer server(
      [](const support::FakeRequest&) { return support::FakeReply{.body = "\x0a\x08\x12\x06slowly"}; });
  Telemetry telemetry(ExportingTo(server.url()));
  telemetry.Record(8);
  EXPECT_TRUE(Eventually([&] { return telemetry.Exported() == 8; }));
  const auto lines = telemetry.Lines("The collector warns");
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_EQ(lines[0]["warning"].Text(), "slowly");
  EXPECT_EQ(telemetry.Failed(), 0);
}

TEST(Provider, IsNotDisturbedByALongAnswerThatIsNoOtlp) {
  support::FakeServer server([](const support::FakeRequest&) {
    return support::FakeReply{.body = "<html>" + std::string(1'000'000, 'x'), .content_type = "text/html"};
  });
  Telemetry telemetry(ExportingTo(server.url()));
  telemetry.Record(4);
  EXPECT_TRUE(Eventually([&] { return telemetry.Exported() == 4; }));
}

TEST(Provider, CountsSpansAsFailedWhenThereIsNoCollector) {
  const support::ReservedPort absent;
  Telemetry telemetry(TryingOnce(absent.url()));
  telemetry.Record(10);
  EXPECT_TRUE(Eventually([&] { return telemetry.Failed() == 10; }));
  EXPECT_EQ(telemetry.Exported(), 0);
}

TEST(Provider, ExportsAgainWhenTheCollectorComesBack) {
  const support::ReservedPort port;
  Config config = ExportingTo(port.url());
  config.export_timeout = 200ms;
  Telemetry telemetry(config);
  telemetry.Record(1);
  ASSERT_TRUE(Eventually([&] { return telemetry.Failed() == 1; }));
  OtlpReceiver receiver(OtlpReceiver::Mode::kNormal, port.port());
  telemetry.Record(3);
  EXPECT_TRUE(Eventually([&] { return telemetry.Exported() == 3; }));
}

/// A collector that answers two requests, and then none before `count` of them are there.
class Gathering {
 public:
  explicit Gathering(int count) : missing_(2 + count) {}
  support::FakeReply operator()() {
    std::unique_lock lock(mutex_);
    if (--missing_ <= 0) enough_.notify_all();
    const bool gathered =
        ++seen_ <= 2 || enough_.wait_for(lock, support::kPatience, [this] { return missing_ <= 0; });
    return {.status = gathered ? 200 : 500, .body = ""};
  }

 private:
  std::mutex mutex_;
  std::condition_variable enough_;
  int seen_ = 0;
  int missing_;
};

TEST(Provider, HasSeveralRequestsUnderWayAtOnce) {
  Gathering collector(4);
  support::FakeServer server([&](const support::FakeRequest&) { return collector(); });
  Config config = ExportingTo(server.url());
  config.queue_size = 64;
  config.export_timeout = 60s;
  Telemetry telemetry(config);
  telemetry.Record(24);
  EXPECT_TRUE(Eventually([&] { return telemetry.Exported() == 24; })) << "one request alone gets no answer";
  EXPECT_EQ(telemetry.Failed(), 0);
}

// What a starved collector is to a busy service: each answer takes long, and spans go on ending.
TEST(Provider, LosesNothingToACollectorThatTakesLongForEachRequest) {
  constexpr auto kAnswerTime = 50ms;
  constexpr int kRequests = 60;
  support::FakeServer server(
      [&](const support::FakeRequest&) { return support::FakeReply{.body = "", .delay = kAnswerTime}; });
  Config config = ExportingTo(server.url());
  config.queue_size = 128;
  config.batch_size = 8;
  Telemetry telemetry(config);
  const Stopwatch stopwatch;
  for (int i = 0; i < kRequests; ++i) {
    ASSERT_TRUE(Eventually([&] { return telemetry.Waiting() < 64; }));
    telemetry.Record(8);
  }
  EXPECT_TRUE(Eventually([&] { return telemetry.Exported() == 8 * kRequests; }));
  EXPECT_LT(stopwatch.elapsed(), kRequests * kAnswerTime / 2)
      << "one after the other they take twice as long";
  EXPECT_EQ(telemetry.Dropped() + telemetry.Failed() + telemetry.Unsampled(), 0);
}

/// A starved collector: it works on one request after the other, in the order in which they came.
class OneAfterTheOther {
 public:
  support::FakeReply operator()() {
    std::unique_lock lock(mutex_);
    const int ticket = next_++;
    turn_.wait(lock, [&] { return ticket == served_; });
    lock.unlock();
    std::this_thread::sleep_for(200ms);
    lock.lock();
    ++served_;
    turn_.notify_all();
    return {.body = ""};
  }

 private:
  std::mutex mutex_;
  std::condition_variable turn_;
  int next_ = 0;
  int served_ = 0;
};

// With eight requests at once, the last would take 1600 ms.
TEST(Provider, SendsNoMoreAtOnceThanTheCollectorAnswersInTime) {
  OneAfterTheOther collector;
  support::FakeServer server([&](const support::FakeRequest&) { return collector(); });
  Config config = ExportingTo(server.url());
  config.queue_size = 128;
  config.export_timeout = 1500ms;
  Telemetry telemetry(config);
  telemetry.Record(60);
  EXPECT_TRUE(Eventually([&] { return telemetry.Exported() == 60; })) << telemetry.Failed() << " failed";
}

TEST(Provider, AsksATroubledCollectorWithOneRequestAtATime) {
  std::atomic<int> at_once = 0;
  std::atomic<int> most = 0;
  std::atomic<bool> recovered = false;
  std::atomic<bool> first = true;
  support::FakeServer server([&](const support::FakeRequest&) {
    if (recovered) return support::FakeReply{.body = ""};
    const int now = ++at_once;
    if (!first.exchange(false)) most = std::max(most.load(), now);
    --at_once;
    return support::FakeReply{.status = 503};
  });
  Config config = ExportingTo(server.url());
  config.queue_size = 64;
  config.export_timeout = 60s;
  Telemetry telemetry(config);
  telemetry.Record(4);
  ASSERT_TRUE(Eventually([&] { return !server.requests().empty(); }));
  telemetry.Record(16);
  ASSERT_TRUE(Eventually([&] { return server.requests().size() >= 4; }));
  EXPECT_LE(most, 1);
  recovered = true;
  EXPECT_TRUE(Eventually([&] { return telemetry.Exported() == 20; }));
}

TEST(Provider, AccountsForEverySpanOfManyThreads) {
  const Stderr silent;
  OtlpReceiver receiver;
  Telemetry telemetry(ExportingTo(receiver.url()));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&telemetry] { telemetry.Record(2000); });
  for (auto& thread : threads) thread.join();
  ASSERT_TRUE(telemetry.provider().Shutdown(support::kPatience));
  EXPECT_EQ(telemetry.Exported(), receiver.Spans().size());
  EXPECT_EQ(telemetry.Exported() + telemetry.Dropped() + telemetry.Unsampled(), 4 * 2000);
  EXPECT_EQ(telemetry.Waiting(), 0);
}

TEST(Provider, LogsOneLineWhileTheCollectorIsAbsent) {
  const Stderr silent;
  const support::ReservedPort absent;
  Telemetry telemetry(TryingOnce(absent.url()));
  for (int i = 1; i <= 5; ++i) {
    telemetry.Record(4);
    ASSERT_TRUE(Eventually([&] { return telemetry.Failed() == 4 * i; }));
  }
  const auto lines = telemetry.Lines("Spans could not be exported");
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_EQ(lines[0]["level"].Text(), "WARN");
  EXPECT_THAT(lines[0]["error"].Text(), testing::HasSubstr("connect"));
  EXPECT_THAT(telemetry.Lines("OpenTelemetry SDK"), IsEmpty());
}

TEST(Provider, SendsTheConfiguredHeaders) {
  support::FakeServer server([](const support::FakeRequest&) { return support::FakeReply{.body = ""}; });
  Config config = ExportingTo(server.url());
  config.otlp_headers = {{"Authorization", "Bearer abc"}, {"X-Scope-OrgID", "dice"}};
  Telemetry telemetry(config);
  telemetry.Record(1);
  ASSERT_TRUE(Eventually([&] { return telemetry.Exported() == 1; }));
  const auto request = server.requests().at(0);
  EXPECT_EQ(request.Header("Content-Type"), "application/x-protobuf");
  EXPECT_EQ(request.Header("Authorization"), "Bearer abc");
  EXPECT_EQ(request.Header("X-Scope-OrgID"), "dice");
}

class ProviderTls : public testing::Test {
 protected:
  Config ConfigFor(const std::string& certificate, const std::string& key) const {
    Config config = ExportingTo("https://127.0.0.1:" + std::to_string(server.port()));
    config.export_timeout = 500ms;
    config.otlp_certificate = authority.path();
    config.otlp_client_certificate = certificate;
    config.otlp_client_key = key;
    return config;
  }

  support::TlsServer server{"127.0.0.1", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
  const support::TemporaryFile authority{server.certificate()};
  const support::TemporaryFile key{server.key()};
};

TEST_F(ProviderTls, ShowsItsCertificateToACollectorThatDemandsOne) {
  server.DemandItsCertificate();
  Telemetry telemetry(ConfigFor(authority.path(), key.path()));
  telemetry.Record(4);
  EXPECT_TRUE(Eventually([&] { return telemetry.Exported() == 4; }));
  Telemetry stranger(ConfigFor("", ""));
  stranger.Record(4);
  EXPECT_TRUE(Eventually([&] { return stranger.Failed() == 4; }));
}

TEST_F(ProviderTls, NamesTheFileThatCannotBeRead) {
  Telemetry telemetry(ConfigFor(authority.path(), "/no/such.key"));
  telemetry.Record(4);
  EXPECT_TRUE(Eventually([&] { return telemetry.Failed() == 4; }));
  const auto lines = telemetry.Lines("Spans could not be exported");
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_EQ(lines[0]["error"].Text(), "/no/such.key: cannot be read as the certificate's key");
  EXPECT_EQ(server.handshakes(), 0);
}

TEST(Retry, LosesNoSpanWhenTheCollectorRefusesOnce) {
  OtlpReceiver receiver(OtlpReceiver::Mode::kStarting);
  Telemetry telemetry(ExportingTo(receiver.url()));
  telemetry.Record(10);
  EXPECT_TRUE(Eventually([&] { return telemetry.Exported() == 10; }));
  EXPECT_THAT(receiver.Spans(), SizeIs(10));
  EXPECT_EQ(telemetry.Failed(), 0);
  EXPECT_THAT(telemetry.Lines("Spans could not be exported"), IsEmpty());
}

TEST(Retry, FollowsEveryTemporaryFault) {
  const std::vector<support::FakeReply> replies = {{.status = 429}, {.status = 502},       {.status = 503},
                                                   {.status = 504}, {.raw = "HTTP/1.1 2"}, {.body = ""}};
  std::atomic<std::size_t> next = 0;
  support::FakeServer server([&](const support::FakeRequest&) { return replies.at(next++); });
  Config config = ExportingTo(server.url());
  config.export_timeout = 60s;
  Telemetry telemetry(config);
  telemetry.Record(1);
  EXPECT_TRUE(Eventually([&] { return telemetry.Exported() == 1; }));
  const auto requests = server.requests();
  ASSERT_THAT(requests, SizeIs(replies.size()));
  for (const auto& request : requests) EXPECT_EQ(request.body, requests[0].body);
}

TEST(Retry, FindsACollectorThatStartsLater) {
  auto starting = std::make_unique<support::FakeServer>(
      [](const support::FakeRequest&) { return support::FakeReply{.raw = "HTTP/1.1 2"}; });
  const std::uint16_t port = starting->port();
  Config config = ExportingTo(starting->url());
  config.export_timeout = 60s;
  Telemetry telemetry(config);
  telemetry.Record(4);
  ASSERT_TRUE(Eventually([&] { return !starting->requests().empty(); }));
  starting.reset();
  OtlpReceiver receiver(OtlpReceiver::Mode::kNormal, port);
  EXPECT_TRUE(Eventually([&] { return telemetry.Exported() == 4; }));
  EXPECT_EQ(telemetry.Failed(), 0);
}

TEST(Retry, IsNotForOtherStatuses) {
  for (const int status : {301, 400, 401, 408, 413, 500, 501}) {
    support::FakeServer server(
        [&](const support::FakeRequest&) { return support::FakeReply{.status = status}; });
    Config config = ExportingTo(server.url());
    config.export_timeout = 60s;
    Telemetry telemetry(config);
    telemetry.Record(1);
    EXPECT_TRUE(Eventually([&] { return telemetry.Failed() == 1; })) << status;
    EXPECT_THAT(server.requests(), SizeIs(1)) << status;
  }
}

TEST(Retry, EndsWithTheTimeOfTheExport) {
  OtlpReceiver receiver(OtlpReceiver::Mode::kRefusing);
  Config config = ExportingTo(receiver.url());
  config.export_timeout = 1500ms;
  Telemetry telemetry(config);
  const Stopwatch stopwatch;
  telemetry.Record(4);
  EXPECT_TRUE(Eventually([&] { return telemetry.Failed() == 4; }));
  EXPECT_LT(stopwatch.elapsed(), 6s);
  EXPECT_GE(receiver.exports(), 2u);
}

TEST(Retry, WaitsAsLongAsTheCollectorAsks) {
  std::atomic<bool> asked = false;
  support::FakeServer server([&](const support::FakeRequest&) {
    return asked.exchange(true) ? support::FakeReply{.body = ""} : Later(1);
  });
  Config config = ExportingTo(server.url());
  config.export_timeout = 60s;
  Telemetry telemetry(config);
  const Stopwatch stopwatch;
  telemetry.Record(1);
  EXPECT_TRUE(Eventually([&] { return telemetry.Exported() == 1; }));
  EXPECT_GE(stopwatch.elapsed(), 1s);
  EXPECT_THAT(server.requests(), SizeIs(2));
}

TEST(Retry, GivesUpAtOnceWhenTheCollectorAsksForMoreTimeThanIsLeft) {
  support::FakeServer server([](const support::FakeRequest&) { return Later(31); });
  Config config = ExportingTo(server.url());
  config.export_timeout = 30s;
  Telemetry telemetry(config);
  telemetry.Record(1);
  EXPECT_TRUE(Eventually([&] { return telemetry.Failed() == 1; }));
  EXPECT_THAT(server.requests(), SizeIs(1));
}

TEST(Shutdown, EndsThePauseBeforeAnotherAttempt) {
  support::FakeServer server([](const support::FakeRequest&) { return Later(59); });
  Config config = ExportingTo(server.url());
  config.export_timeout = 60s;
  Telemetry telemetry(config);
  telemetry.Record(4);
  ASSERT_TRUE(Eventually([&] { return server.requests().size() == 1; }));
  telemetry.Record(8);
  EXPECT_TRUE(telemetry.provider().Shutdown(support::kPatience));
  EXPECT_EQ(telemetry.Failed(), 4 + 8);
  EXPECT_EQ(telemetry.Exported(), 0);
}

TEST(Shutdown, ExportsWhatIsStillQueued) {
  OtlpReceiver receiver;
  Config config = ExportingTo(receiver.url());
  config.schedule_delay = 60s;
  config.batch_size = 16;
  Telemetry telemetry(config);
  telemetry.Record(5);
  EXPECT_TRUE(telemetry.provider().Shutdown(support::kPatience));
  EXPECT_THAT(receiver.Spans(), SizeIs(5));
  EXPECT_EQ(telemetry.Exported(), 5);
}

TEST(Shutdown, CountsLaterSpansAsDropped) {
  OtlpReceiver receiver;
  Telemetry telemetry(ExportingTo(receiver.url()));
  ASSERT_TRUE(telemetry.provider().Shutdown(support::kPatience));
  telemetry.Record(3);
  EXPECT_EQ(telemetry.Dropped(), 3);
  EXPECT_EQ(telemetry.Waiting(), 0);
}

TEST(Shutdown, IsQuickWithoutACollector) {
  const Stderr silent;
  const support::ReservedPort absent;
  Telemetry telemetry(ExportingTo(absent.url()));
  telemetry.Record(12);
  EXPECT_TRUE(telemetry.provider().Shutdown(support::kPatience));
  EXPECT_EQ(telemetry.Failed() + telemetry.Dropped(), 12);
}

TEST(Shutdown, GivesUpAtItsDeadlineWhenTheCollectorNeverAnswers) {
  const Stderr silent;
  const OtlpReceiver receiver(OtlpReceiver::Mode::kHanging);
  Config config = ExportingTo(receiver.url());
  config.export_timeout = 60s;
  Telemetry telemetry(config);
  telemetry.Record(1);
  ASSERT_TRUE(Eventually([&] { return receiver.exports() == 1; }));
  telemetry.Record(8);
  const Stopwatch stopwatch;
  EXPECT_FALSE(telemetry.provider().Shutdown(200ms));
  EXPECT_GE(stopwatch.elapsed(), 200ms);
  EXPECT_LT(stopwatch.elapsed(), 5s);
  EXPECT_TRUE(Eventually([&] { return telemetry.Failed() == 1 + 8; })) << "though the collector still hangs";
  EXPECT_EQ(telemetry.Waiting(), 0);
  EXPECT_TRUE(telemetry.provider().Shutdown(support::kPatience)) << "there is nothing left to wait for";
}

TEST(Shutdown, LetsTheDestructorReturnWhileTheCollectorHangs) {
  const OtlpReceiver receiver(OtlpReceiver::Mode::kHanging);
  Config config = ExportingTo(receiver.url());
  config.export_timeout = 60s;
  Telemetry telemetry(config);
  telemetry.Record(12);
  ASSERT_TRUE(Eventually([&] { return receiver.exports() >= 1; }));
  EXPECT_FALSE(telemetry.provider().Shutdown(1ms));
  const Stopwatch stopwatch;
  telemetry.DestroyProvider();
  EXPECT_LT(stopwatch.elapsed(), 5s);
  EXPECT_EQ(telemetry.Failed() + telemetry.Dropped(), 12);
}

}  // namespace
}  // namespace obs::trace
