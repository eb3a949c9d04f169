#include "support/eventually.h"

#include <gmock/gmock.h>

namespace support {
namespace {

using testing::Ge;
using testing::HasSubstr;

TEST(Eventually, WaitsForTheCondition) {
  int asked = 0;
  EXPECT_TRUE(Eventually([&] { return ++asked == 3; }));
  EXPECT_EQ(asked, 3);
  EXPECT_FALSE(Eventually([] { return false; }, 10ms));
}

TEST(Becomes, WaitsForTheValue) {
  int value = 0;
  EXPECT_TRUE(Becomes([&] { return ++value; }, 3));
  EXPECT_TRUE(Becomes([&] { return ++value; }, Ge(6)));
  EXPECT_EQ(value, 6);
}

TEST(Becomes, SaysWhatTheValueWasInTheEnd) {
  const testing::AssertionResult outcome = Becomes([] { return 2; }, Ge(3), 10ms);
  EXPECT_FALSE(outcome);
  EXPECT_THAT(outcome.message(), HasSubstr("is 2"));
  EXPECT_THAT(outcome.message(), HasSubstr(">= 3"));
}

}  // namespace
}  // namespace support
