#include <gtest/gtest.h>

#include <string_view>

#include "obs/metrics/registry.h"

namespace obs::metrics {
namespace {

constexpr std::string_view kPrometheus3 =
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

TEST(Negotiate, GivesOpenMetricsToWhoPrefersIt) {
  for (const std::string_view accept :
       {std::string_view("application/openmetrics-text"), kPrometheus3,
        std::string_view("application/openmetrics-text; version=1.0.0; charset=utf-8"),
        std::string_view("APPLICATION/OpenMetrics-Text ; Q=0.5 , text/plain;q=0.4"),
        std::string_view("text/plain;q=0.9, application/openmetrics-text"),
        std::string_view("text/plain, application/openmetrics-text"),
        std::string_view("*/*, text/plain;q=0, application/openmetrics-text;q=0.001"),
        std::string_view("text/*;q=0.3, */*;q=0.9, application/openmetrics-text;q=0.4")}) {
    EXPECT_EQ(Negotiate(accept), Format::kOpenMetrics) << accept;
  }
}

TEST(Negotiate, GivesTextToWhoPrefersIt) {
  for (const std::string_view accept :
       {"application/openmetrics-text;q=0.3, text/plain;q=0.4", "application/openmetrics-text;q=0",
        "application/openmetrics-text;q=0.5, */*",
        "application/openmetrics-text;q=0.5, text/*;q=0.6, */*;q=0.1"}) {
    EXPECT_EQ(Negotiate(accept), Format::kText) << accept;
  }
}

TEST(Negotiate, GivesTextWhereOpenMetricsIsNotNamed) {
  for (const std::string_view accept :
       {"", "*/*", "text/html,application/xhtml+xml,*/*;q=0.8", "application/*", "application/json"}) {
    EXPECT_EQ(Negotiate(accept), Format::kText) << accept;
  }
}

TEST(Negotiate, GivesTextWhereTheVersionIsNotOurs) {
  EXPECT_EQ(Negotiate("application/openmetrics-text;version=2.0.0"), Format::kText);
}

TEST(Negotiate, GivesTextForWhatIsMalformed) {
  for (const std::string_view accept :
       {",", ";", ";;,;=", "application/openmetrics-text;q=", "application/openmetrics-text;q=x",
        "application/openmetrics-text;q=2", "application/openmetrics-text;q=-1",
        "application/openmetrics-text;q=nan", "application/openmetrics-text;q=1e0",
        "application/openmetrics-textual", "\x80\xFF\"", "=,=;q"}) {
    EXPECT_EQ(Negotiate(accept), Format::kText) << accept;
  }
}

TEST(ContentType, NamesTheVersionWritten) {
  EXPECT_EQ(ContentType(Format::kText), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(ContentType(Format::kOpenMetrics), "application/openmetrics-text; version=1.0.0; charset=utf-8");
}

}  // namespace
}  // namespace obs::metrics
