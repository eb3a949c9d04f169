#include "routes.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <charconv>

#include "statistics.h"

namespace dice_roller {
namespace {

using obs::Scope;
using obs::async::Task;
using obs::http::Request;
using obs::http::Response;
using JsonWriter = rapidjson::Writer<rapidjson::StringBuffer>;

constexpr std::size_t kMaxIdentifier = 50;
constexpr int kMaxTimes = 1000;
constexpr const char* kInformation =
    R"({"service":"dice-roller","description":"Rolls dice that die-service specifies.",)"
    R"("endpoints":["/roll?die={die}","/roll-async?die={die}&times={times}","/livez","/readyz","/healthz","/metrics"]})";

obs::Error InvalidParameter(std::string sentence) {
  return {obs::ErrorCode::kInvalidArgument, "invalid-parameter", std::move(sentence)};
}

bool IsIdentifierCharacter(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

std::string DieParameter(const Request& request) {
  const std::string_view die = request.QueryParameter("die").value_or("");
  if (die.empty() || die.size() > kMaxIdentifier ||
      !std::all_of(die.begin(), die.end(), IsIdentifierCharacter)) {
    throw InvalidParameter("Parameter 'die' is required and must match [A-Za-z0-9_-]{1,50}.");
  }
  return std::string(die);
}

int TimesParameter(const Request& request) {
  const std::string_view text = request.QueryParameter("times").value_or("");
  int times = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), times);
  if (error != std::errc() || end != text.data() + text.size() || times < 1 || times > kMaxTimes) {
    throw InvalidParameter("Parameter 'times' is required and must be an integer from 1 to 1000.");
  }
  return times;
}

void Member(JsonWriter& json, const char* key, std::string_view value) {
  json.Key(key);
  json.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
}

void WriteStatistics(JsonWriter& json, const Statistics& statistics) {
  json.StartObject();
  json.Key("count");
  json.Int(statistics.count);
  const auto number = [&json, &statistics](const char* key, auto value) {
    json.Key(key);
    if (statistics.spread) {
      json.Double(value(*statistics.spread));
    } else {
      json.Null();
    }
  };
  const auto integer = [&json, &statistics](const char* key, int Statistics::Spread::*value) {
    json.Key(key);
    if (statistics.spread) {
      json.Int((*statistics.spread).*value);
    } else {
      json.Null();
    }
  };
  integer("min", &Statistics::Spread::min);
  integer("max", &Statistics::Spread::max);
  number("mean", [](const Statistics::Spread& spread) { return spread.mean; });
  number("stddev", [](const Statistics::Spread& spread) { return spread.standard_deviation; });
  json.Key("distribution");
  json.StartObject();
  for (const auto& [face, count] : statistics.distribution) {
    json.Key(std::to_string(face).c_str());
    json.Int(count);
  }
  json.EndObject();
  json.EndObject();
}

Response ToResponse(const rapidjson::StringBuffer& buffer) {
  Response response;
  response.body.assign(buffer.GetString(), buffer.GetSize());
  return response;
}

Response RollOnce(const Die& die, int result, std::string_view trace_id) {
  rapidjson::StringBuffer buffer;
  JsonWriter json(buffer);
  json.StartObject();
  Member(json, "die", die.identifier);
  json.Key("result");
  json.Int(result);
  Member(json, "trace_id", trace_id);
  json.EndObject();
  return ToResponse(buffer);
}

Response RollMany(const Die& die, const std::vector<RollResult>& results, std::string_view trace_id) {
  const Statistics statistics = Summarize(results);
  rapidjson::StringBuffer buffer;
  JsonWriter json(buffer);
  json.StartObject();
  Member(json, "die", die.identifier);
  json.Key("times");
  json.Uint64(results.size());
  json.Key("results");
  json.StartArray();
  for (const auto& result : results) {
    if (result) {
      json.Int(*result);
    } else {
      json.Null();
    }
  }
  json.EndArray();
  json.Key("errors");
  json.Int(statistics.errors);
  json.Key("statistics");
  WriteStatistics(json, statistics);
  Member(json, "trace_id", trace_id);
  json.EndObject();
  return ToResponse(buffer);
}

}  // namespace

void AddRoutes(obs::http::Server& server, DieClient& dice, const Roller& roller) {
  server.Get("/", [](const Request&, Scope&) {
    Response response;
    response.body = kInformation;
    return response;
  });
  server.Get("/roll", [&](const Request& request, Scope& scope) -> Task<Response> {
    const Die die = co_await dice.Get(DieParameter(request), scope);
    const RollResult result = co_await roller.Roll(die, scope);
    if (!result) {
      throw obs::Error(obs::ErrorCode::kInternal, "roll-failed", "The roll failed; roll again.",
                       "the error rate of die '" + die.identifier + "' struck");
    }
    co_return RollOnce(die, *result, scope.trace_id());
  });
  server.Get("/roll-async", [&](const Request& request, Scope& scope) -> Task<Response> {
    const int times = TimesParameter(request);
    const Die die = co_await dice.Get(DieParameter(request), scope);
    const auto results = co_await roller.RollMany(die, times, scope);
    co_return RollMany(die, results, scope.trace_id());
  });
}

}  // namespace dice_roller
