#include "page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "assets.h"
#include "support/paths.h"

namespace frontend {
namespace {

std::string FileInTheTree(std::string_view name) {
  std::ifstream file(support::SourcePath("apps/frontend/web/" + std::string(name)));
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

TEST(Page, IsEmbeddedWithItsScriptsAndStylesMinified) {
  ASSERT_EQ(Assets().count("index.html"), 1U);
  for (const auto& [name, content] : Assets()) {
    const std::string file = FileInTheTree(name);
    if (name.ends_with(".js") || name.ends_with(".css")) {
      EXPECT_LT(content.size(), file.size()) << name;
      EXPECT_EQ(content.find("\n "), std::string::npos) << name;
    } else {
      EXPECT_EQ(content, file) << name;
    }
  }
}

TEST(Page, KeepsToItsOwnOrigin) {
  for (const auto& [name, content] : Assets()) {
    const auto response = PageFile(name);
    EXPECT_THAT(response.headers, testing::Contains(testing::Pair(
                                      "Content-Security-Policy", testing::StartsWith("default-src 'none'"))));
  }
  EXPECT_EQ(PageFile("index.html").content_type, "text/html; charset=utf-8");
}

TEST(Page, IsForBrowsersAndJsonForTheRest) {
  EXPECT_TRUE(WantsPage("text/html,application/xhtml+xml;q=0.9"));
  EXPECT_FALSE(WantsPage("*/*"));
  EXPECT_FALSE(WantsPage(""));
}

}  // namespace
}  // namespace frontend
