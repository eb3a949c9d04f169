// What a service no longer needs goes back to the kernel.
#include <gmock/gmock.h>

#include "support/dice_system.h"
#include "support/sanitized.h"

namespace {

using namespace support;  // NOLINT(google-build-using-namespace)
using testing::Lt;

TEST(Memory, OfTheStartAloneIsGivenBack) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer's own memory is most of it";
  ReservedPort nobody;
  ServiceUnderTest service("dice-roller", CommonEnvironment(nobody.url()));
  service.Start();
  ASSERT_TRUE(Becomes([&] { return service.Get("/livez").status; }, 200));
  const auto resident = [&] { return service.Metric("process_resident_memory_bytes"); };
  const double at_start = resident();
  EXPECT_TRUE(Becomes(resident, Lt(0.75 * at_start))) << at_start;
  EXPECT_EQ(service.Get("/livez").status, 200);
}

}  // namespace
