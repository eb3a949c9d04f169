#include "obs/scope/scope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "obs/log/writer.h"
#include "obs/trace/buffer.h"
#include "support/eventually.h"
#include "support/exposition.h"
#include "support/json.h"
#include "support/memory_file.h"
#include "support/scope.h"

namespace obs {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using support::Json;

/// Telemetry whose lines, spans and metrics a test can read. Every span is kept in the buffer.
class RecordedTelemetry {
 public:
  RecordedTelemetry()
      : provider_(Config(), registry_, logger_, &buffer_),
        tracer_(provider_.tracer()),
        telemetry_{logger_, registry_, tracer_, provider_.propagator()} {}

  const Telemetry& telemetry() const { return telemetry_; }
  std::vector<Json> Lines() {
    EXPECT_TRUE(writer_.Flush(support::kPatience));
    std::istringstream stream(file_.Text());
    std::vector<Json> lines;
    for (std::string line; std::getline(stream, line);) lines.push_back(Json::Parse(line));
    return lines;
  }
  /// The finished spans of a trace by their names.
  std::map<std::string, Json> Spans(std::string_view trace_id) {
    std::map<std::string, Json> spans;
    const Json found = Json::Parse(buffer_.Find(trace_id));
    for (const Json& resource : found["resourceSpans"].Items()) {
      for (const Json& scope : resource["scopeSpans"].Items()) {
        for (const Json& span : scope["spans"].Items()) spans[span["name"].Text()] = span;
      }
    }
    return spans;
  }
  double Metric(std::string_view name, const support::Labels& labels = {}) const {
    return support::Value(support::ParseExposition(registry_.Render(metrics::Format::kText)), name, labels);
  }
  metrics::Registry& registry() { return registry_; }

 private:
  static trace::Config Config() {
    trace::Config config;
    config.service_name = "test";
    config.exporter = "none";
    return config;
  }

  support::MemoryFile file_;
  log::Writer writer_{file_.fd()};
  log::Logger logger_{writer_, "test", log::Level::kDebug};
  metrics::Registry registry_;
  trace::Buffer buffer_{1 << 20};
  trace::Provider provider_;
  trace::Tracer tracer_;
  Telemetry telemetry_;
};

std::string AttributeOf(const Json& span, std::string_view key) {
  for (const Json& attribute : span["attributes"].Items()) {
    if (attribute["key"].Text() == key) return attribute["value"].Items().at(0).Text();
  }
  return "";
}

class ScopeTest : public testing::Test {
 protected:
  Scope Root(std::string_view name = "request") {
    return {recorded_.telemetry(), standalone_.loop(),
            recorded_.telemetry().tracer.Start(name, trace::Kind::kServer, {}), Deadline::max(), activity_};
  }

  RecordedTelemetry recorded_;
  Activity activity_;
  async::StandaloneLoop standalone_;
};

TEST_F(ScopeTest, AChildHasASpanOfItsOwnBelowItsParents) {
  std::string trace_id;
  {
    Scope request = Root();
    trace_id = request.trace_id();
    Scope roll = request.Child("roll", trace::Kind::kInternal, {{"die.type", "fair"}});
    EXPECT_EQ(roll.trace_id(), trace_id);
    roll.Set({"roll.result", 4});
  }
  EXPECT_EQ(trace_id.size(), 32U);
  const auto spans = recorded_.Spans(trace_id);
  ASSERT_EQ(spans.size(), 2U);
  EXPECT_EQ(spans.at("roll")["parentSpanId"].Text(), spans.at("request")["spanId"].Text());
  EXPECT_EQ(AttributeOf(spans.at("roll"), "die.type"), "fair");
  EXPECT_EQ(AttributeOf(spans.at("roll"), "roll.result"), "4");
}

TEST_F(ScopeTest, WritesLinesThatBelongToItsSpan) {
  Scope request = Root();
  Scope roll = request.Child("roll");
  request.Info("of the request", {{"number", 1}});
  roll.Warn("of the roll");
  const auto lines = recorded_.Lines();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0]["message"].Text(), "of the request");
  EXPECT_EQ(lines[0]["number"].Number(), 1);
  EXPECT_EQ(lines[0]["trace_id"].Text(), std::string(request.trace_id()));
  EXPECT_EQ(lines[1]["level"].Text(), "WARN");
  EXPECT_EQ(lines[1]["trace_id"].Text(), std::string(request.trace_id()));
  EXPECT_NE(lines[0]["span_id"].Text(), lines[1]["span_id"].Text());
}

TEST_F(ScopeTest, MarksItsSpanFailed) {
  std::string trace_id;
  {
    Scope request = Root();
    trace_id = request.trace_id();
    request.Fail("roll-failed", "The die's error rate struck.");
  }
  const Json span = recorded_.Spans(trace_id).at("request");
  EXPECT_EQ(AttributeOf(span, "error.type"), "roll-failed");
  EXPECT_EQ(span["status"]["message"].Text(), "The die's error rate struck.");
  EXPECT_TRUE(recorded_.Lines().empty()) << "it does not log";
}

TEST_F(ScopeTest, AChildHasTheDeadlineAndTheLoopOfItsParent) {
  const Deadline deadline = async::Clock::now() + 1h;
  Scope request(recorded_.telemetry(), standalone_.loop(), trace::Span(), deadline, activity_);
  const Scope child = request.Child("part");
  EXPECT_EQ(child.deadline(), deadline);
  EXPECT_EQ(&child.loop(), &standalone_.loop());
}

TEST_F(ScopeTest, BackgroundWorkIsARootOfItsOwn) {
  std::string trace_id;
  {
    Scope work =
        Scope::Background(recorded_.telemetry(), standalone_.loop(), activity_, "look-up", {{"kind", "a"}});
    trace_id = work.trace_id();
    EXPECT_EQ(work.deadline(), Deadline::max());
  }
  const Json span = recorded_.Spans(trace_id).at("look-up");
  EXPECT_EQ(AttributeOf(span, "kind"), "a");
  EXPECT_FALSE(span.Has("parentSpanId") && !span["parentSpanId"].Text().empty());
}

TEST_F(ScopeTest, EndsItsSpanWhenItsWorkIsCancelled) {
  const auto work = [](Scope& request) -> async::Task<void> {
    Scope part = request.Child("part");
    co_await part.Sleep(1h);
  };
  class Nobody final : public async::Root::Listener {
    void OnFinished() override {}
  } nobody;
  Scope request = Root();
  {
    async::Root root;
    root.Start(work(request), nobody);
    EXPECT_TRUE(recorded_.Spans(request.trace_id()).empty());
  }
  EXPECT_EQ(recorded_.Spans(request.trace_id()).count("part"), 1U);
}

TEST(QuietScope, LeavesNoTraceOfWhatIsBelowIt) {
  RecordedTelemetry recorded;
  const Telemetry quiet{recorded.telemetry().logger, recorded.telemetry().registry, Telemetry::None().tracer,
                        recorded.telemetry().propagator};
  async::StandaloneLoop standalone;
  Activity activity;
  Scope probe(quiet, standalone.loop(), trace::Span(), Deadline::max(), activity);
  Scope child = probe.Child("part");
  EXPECT_FALSE(child.span().recording());
  EXPECT_EQ(child.trace_id(), "");
  child.Set({"a", 1});
  child.Fail("type", "sentence");
  child.Info("said all the same");
  const auto lines = recorded.Lines();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_FALSE(lines[0].Has("trace_id"));
}

TEST(QuietScope, TellsNobodyAnythingWithoutTelemetry) {
  support::LocalScope local;
  Scope child = local.scope().Child("part");
  child.Info("nobody hears this");
  const auto work = [](Scope& scope) -> async::Task<int> {
    co_await scope.Sleep(1ms);
    co_return 1;
  };
  EXPECT_EQ(local.Run(work(child)), 1);
}

class WaitPointTest : public ScopeTest {
 protected:
  double Waiting(const std::string& point) const {
    return recorded_.Metric("requests_waiting", {{"for", point}});
  }
  WaitPoint first_{recorded_.registry(), "first"};
  WaitPoint second_{recorded_.registry(), "second"};
};

TEST_F(WaitPointTest, CountsThoseWhoWait) {
  Scope request = Root();
  EXPECT_EQ(Waiting("first"), 0);
  {
    const obs::Waiting one = request.WaitAt(first_);
    const obs::Waiting two = request.WaitAt(first_);
    const obs::Waiting three = request.WaitAt(second_);
    EXPECT_EQ(Waiting("first"), 2);
    EXPECT_EQ(Waiting("second"), 1);
  }
  EXPECT_EQ(Waiting("first"), 0);
  EXPECT_EQ(Waiting("second"), 0);
}

TEST_F(WaitPointTest, CountsAWaitOnceHoweverItIsMovedAndEnded) {
  Scope request = Root();
  obs::Waiting wait = request.WaitAt(first_);
  obs::Waiting moved = std::move(wait);
  wait.End();  // NOLINT(bugprone-use-after-move,clang-analyzer-cplusplus.Move)
  EXPECT_EQ(Waiting("first"), 1);
  obs::Waiting other = request.WaitAt(second_);
  other = std::move(moved);
  EXPECT_EQ(Waiting("second"), 0);
  EXPECT_EQ(Waiting("first"), 1);
  other.End();
  other.End();
  EXPECT_EQ(Waiting("first"), 0);
}

TEST_F(WaitPointTest, ShowsTheLatestWaitThatHasNotEnded) {
  Scope request = Root();
  EXPECT_EQ(activity_.awaiting(), nullptr);
  obs::Waiting one = request.WaitAt(first_);
  EXPECT_EQ(activity_.awaiting(), &first_);
  obs::Waiting two = request.WaitAt(second_);
  EXPECT_EQ(activity_.awaiting(), &second_);
  two.End();
  EXPECT_EQ(activity_.awaiting(), &first_) << "which goes on";
  obs::Waiting three = request.WaitAt(first_);
  one.End();
  EXPECT_EQ(activity_.awaiting(), &first_);
  const obs::Waiting moved = std::move(three);
  EXPECT_EQ(activity_.awaiting(), &first_);
}

TEST_F(WaitPointTest, ShowsWhatChildrenWaitFor) {
  Scope request = Root();
  Scope child = request.Child("part");
  {
    const obs::Waiting wait = child.WaitAt(first_);
    EXPECT_EQ(activity_.awaiting(), &first_);
  }
  EXPECT_EQ(activity_.awaiting(), nullptr);
}

TEST_F(WaitPointTest, CountsASleepAtTheTimerOfItsActivity) {
  activity_.timer = &first_;
  Scope request = Root();
  const auto sleep = [](Scope& scope, async::Clock::duration duration) -> async::Task<void> {
    co_await scope.Sleep(duration);
  };
  class Nobody final : public async::Root::Listener {
    void OnFinished() override {}
  } nobody;
  {
    async::Root one;
    async::Root two;
    one.Start(sleep(request, 1h), nobody);
    two.Start(sleep(request, 1h), nobody);
    EXPECT_EQ(Waiting("first"), 2);
    EXPECT_EQ(activity_.awaiting(), &first_);
    one.Cancel();
    EXPECT_EQ(Waiting("first"), 1);
    EXPECT_EQ(activity_.awaiting(), &first_) << "the other sleeps on";
  }
  EXPECT_EQ(Waiting("first"), 0);
  standalone_.Run(sleep(request, 1ms));
  EXPECT_EQ(Waiting("first"), 0);
  EXPECT_EQ(activity_.awaiting(), nullptr);
}

}  // namespace
}  // namespace obs
