#include "obs/http/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "obs/error/error.h"

namespace obs::http {
namespace {

Router DiceRouter() {
  Router router;
  for (const auto* route : {"/", "/dice", "/dice/{die}", "/roll"}) {
    Route entry;
    entry.route = route;
    router.Add(std::move(entry));
  }
  return router;
}

struct Asked {
  std::string route;  ///< or the type of the error
  std::string detail;
  Request request;
};

void Ask(const Router& router, Method method, std::string_view path, std::string_view query, Asked& asked) {
  asked.request.method = method;
  asked.request.path = path;
  asked.request.query = query;
  try {
    const Route& route = router.Match(asked.request);
    ReadParameters(route, asked.request);
    asked.route = route.route;
  } catch (const Error& error) {
    asked.route = error.type();
    asked.detail = error.detail();
  }
}

std::string RouteOf(std::string_view path, Method method = Method::kGet, std::string_view query = "") {
  const Router router = DiceRouter();
  Asked asked;
  Ask(router, method, path, query, asked);
  return asked.route;
}

TEST(Router, FindsTheTemplateOfAPath) {
  EXPECT_EQ(RouteOf("/"), "/");
  EXPECT_EQ(RouteOf("/dice"), "/dice");
  EXPECT_EQ(RouteOf("/dice/fair"), "/dice/{die}");
  EXPECT_EQ(RouteOf("/dice", Method::kHead), "/dice");
  EXPECT_EQ(RouteOf("/%64ice"), "/dice");
}

TEST(Router, TakesSlashesLiterally) {
  for (const auto* path : {"//dice", "/dice/", "/roll/", "//", "/dice//", "/dice/a/b", "/Dice"}) {
    EXPECT_EQ(RouteOf(path), "not-found") << path;
  }
}

TEST(Router, TellsWhichMethodsAPathTakes) {
  EXPECT_EQ(RouteOf("/roll", Method::kPost), "method-not-allowed");
  EXPECT_EQ(DiceRouter().Allow("/roll"), "GET, HEAD");
  EXPECT_EQ(DiceRouter().Allow("/nothing"), "");
}

TEST(Router, DecodesParametersOfPathAndQuery) {
  const Router router = DiceRouter();
  Asked asked;
  Ask(router, Method::kGet, "/dice/a%2Fb+c", "die=a+b%26&times=&flag&die=second", asked);
  EXPECT_EQ(asked.request.PathParameter("die"), "a/b+c");
  EXPECT_EQ(asked.request.QueryParameter("die"), "a b&");
  EXPECT_EQ(asked.request.QueryParameter("times"), "");
  EXPECT_EQ(asked.request.QueryParameter("flag"), "");
  EXPECT_EQ(asked.request.QueryParameter("none"), std::nullopt);
}

TEST(Router, NamesTheParameterWhosePercentEncodingIsMalformed) {
  const Router router = DiceRouter();
  for (const auto* malformed : {"%", "%2", "%ZZ", "a%", "%4"}) {
    Asked in_path;
    Ask(router, Method::kGet, std::string("/dice/") + malformed, "", in_path);
    EXPECT_EQ(in_path.route, "invalid-parameter");
    EXPECT_THAT(in_path.detail, testing::HasSubstr("'die'"));
    Asked in_query;
    const std::string query = std::string("times=") + malformed;
    Ask(router, Method::kGet, "/roll", query, in_query);
    EXPECT_EQ(in_query.route, "invalid-parameter");
    EXPECT_THAT(in_query.detail, testing::HasSubstr("'times'"));
  }
  EXPECT_EQ(RouteOf("/%ZZ"), "malformed-request");
}

TEST(Router, BoundsTheNumberOfQueryParameters) {
  std::string query;
  for (int i = 0; i < 100; ++i) query += "a=b&";
  EXPECT_EQ(RouteOf("/roll", Method::kGet, query), "malformed-request");
}

TEST(Router, RefusesARouteThatIsThereAlready) {
  Router router = DiceRouter();
  Route twice;
  twice.route = "/dice";
  EXPECT_THROW(router.Add(std::move(twice)), std::invalid_argument);
}

}  // namespace
}  // namespace obs::http
