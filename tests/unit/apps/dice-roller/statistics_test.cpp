#include "statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dice_roller {
namespace {

using testing::ElementsAre;
using testing::Pair;

TEST(Statistics, CountsWhatSucceededAndWhatFailed) {
  const Statistics statistics = Summarize({4, std::nullopt, 2, 4, 6});
  EXPECT_EQ(statistics.count, 4);
  EXPECT_EQ(statistics.errors, 1);
  ASSERT_TRUE(statistics.spread);
  EXPECT_EQ(statistics.spread->min, 2);
  EXPECT_EQ(statistics.spread->max, 6);
  EXPECT_DOUBLE_EQ(statistics.spread->mean, 4);
  EXPECT_DOUBLE_EQ(statistics.spread->standard_deviation, std::sqrt(2.0));
  EXPECT_THAT(statistics.distribution, ElementsAre(Pair(2, 1), Pair(4, 2), Pair(6, 1)));
}

TEST(Statistics, HaveNoMeanWhenEveryRollFailed) {
  const Statistics statistics = Summarize({std::nullopt, std::nullopt});
  EXPECT_EQ(statistics.count, 0);
  EXPECT_EQ(statistics.errors, 2);
  EXPECT_FALSE(statistics.spread);
}

}  // namespace
}  // namespace dice_roller
