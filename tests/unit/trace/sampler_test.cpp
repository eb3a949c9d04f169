#include <gmock/gmock.h>

#include "unit/trace/telemetry.h"

namespace obs::trace {
namespace {

Config Sampling(const std::string& sampler, double ratio = 1) {
  return {.exporter = "none", .sampler = sampler, .sampler_ratio = ratio};
}

struct Decisions {
  bool root;
  bool below_sampled;
  bool below_unsampled;
  bool operator==(const Decisions&) const = default;
};

Decisions Decide(const Config& config) {
  Telemetry telemetry(config);
  const auto below = [&telemetry](const char* traceparent) {
    const Span span = telemetry.Start("roll", telemetry.Extract({{"traceparent", traceparent}}));
    EXPECT_EQ(span.recording(), span.context().sampled());
    return span.recording();
  };
  return {telemetry.Start("roll").recording(),
          below("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
          below("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")};
}

TEST(Sampler, AlwaysOnRecordsWhateverTheParentSays) {
  EXPECT_EQ(Decide(Sampling("always_on")), (Decisions{true, true, true}));
}

TEST(Sampler, AlwaysOffRecordsNothing) {
  EXPECT_EQ(Decide(Sampling("always_off")), (Decisions{false, false, false}));
}

TEST(Sampler, TraceIdRatioIgnoresTheParent) {
  EXPECT_EQ(Decide(Sampling("traceidratio", 1)), (Decisions{true, true, true}));
  EXPECT_EQ(Decide(Sampling("traceidratio", 0)), (Decisions{false, false, false}));
}

TEST(Sampler, ParentBasedFollowsTheParentAndDecidesForRoots) {
  EXPECT_EQ(Decide(Sampling("parentbased_always_on")), (Decisions{true, true, false}));
  EXPECT_EQ(Decide(Sampling("parentbased_always_off")), (Decisions{false, true, false}));
  EXPECT_EQ(Decide(Sampling("parentbased_traceidratio", 1)), (Decisions{true, true, false}));
  EXPECT_EQ(Decide(Sampling("parentbased_traceidratio", 0)), (Decisions{false, true, false}));
}

TEST(Sampler, TraceIdRatioRecordsItsShareOfTraces) {
  Telemetry telemetry(Sampling("parentbased_traceidratio", 0.25));
  int recorded = 0;
  for (int i = 0; i < 4000; ++i) recorded += telemetry.Start("roll").recording();
  EXPECT_NEAR(recorded, 1000, 300);
}

TEST(Sampler, GivesAnIdentityToSpansThatItDoesNotRecord) {
  Telemetry telemetry(Sampling("always_off"));
  const Span root = telemetry.Start("GET /roll");
  const Span child = telemetry.Start("roll", root.context());
  EXPECT_TRUE(root.context().valid());
  EXPECT_EQ(TraceId(child), TraceId(root));
  EXPECT_EQ(child.correlation().trace_flags, 0);
  EXPECT_TRUE(child.exemplar().trace_id.empty());
}

}  // namespace
}  // namespace obs::trace
