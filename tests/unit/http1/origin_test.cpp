#include "obs/http1/origin.h"

#include <gtest/gtest.h>

namespace obs::http1 {
namespace {

TEST(Url, IsTakenApart) {
  const auto url = ParseUrl("https://[::1]:4318/v1/traces?x=1");
  ASSERT_TRUE(url);
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->port, 4318);
  EXPECT_EQ(url->authority, "[::1]:4318");
  EXPECT_EQ(url->path, "/v1/traces?x=1");
}

TEST(Url, HasThePortOfItsScheme) {
  EXPECT_EQ(ParseUrl("http://collector")->port, 80);
  EXPECT_EQ(ParseUrl("https://collector")->port, 443);
  EXPECT_EQ(ParseUrl("http://collector")->path, "");
}

TEST(Url, IsOfHttpAndNamesAHost) {
  for (const auto* text : {"", "collector:4318", "//collector", "ftp://collector", "http://", "http:///v1",
                           "http://:80", "http://collector:0", "http://collector:65536",
                           "http://user@collector", "http://collector/a b", "http://collector/\r\nX: y"}) {
    EXPECT_FALSE(ParseUrl(text)) << text;
  }
}

}  // namespace
}  // namespace obs::http1
