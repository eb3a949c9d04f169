#include "support/memory_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

namespace support {
namespace {

TEST(MemoryFile, GivesBackAllThatWasWrittenHoweverMuchItIs) {
  const MemoryFile file;
  std::string expected;
  for (int i = 0; i < 3; ++i) {
    const std::string part(1'500'000, static_cast<char>('a' + i));
    ASSERT_EQ(write(file.fd(), part.data(), part.size()), static_cast<ssize_t>(part.size()));
    expected += part;
  }
  EXPECT_TRUE(file.Text() == expected) << file.Text().size() << " bytes of " << expected.size();
  EXPECT_TRUE(file.Clear());
  EXPECT_EQ(file.Text(), "");
}

}  // namespace
}  // namespace support
