#include "page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <regex>
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

/// What counts of a file: nothing that is blank, and no comment.
std::string Essence(const std::string& text) {
  std::string essence = std::regex_replace(text, std::regex("(^|\n| )// [^\n]*|/[*][^*]*[*]/"), "");
  essence.erase(std::remove_if(essence.begin(), essence.end(), [](char c) { return c == ' ' || c == '\n'; }),
                essence.end());
  return std::regex_replace(essence, std::regex(";}"), "}");
}

TEST(Page, IsEmbeddedWithoutCommentsAndIndentation) {
  ASSERT_EQ(Assets().count("index.html"), 1U);
  for (const auto& [name, content] : Assets()) {
    const std::string embedded(content);
    EXPECT_EQ(Essence(embedded), Essence(FileInTheTree(name))) << name;
    EXPECT_EQ(embedded.find("\n "), std::string::npos) << name;
    EXPECT_EQ(embedded.find("\n// "), std::string::npos) << name;
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
