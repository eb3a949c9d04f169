#include "die_client.h"

#include <rapidjson/document.h>

#include <charconv>
#include <cmath>

namespace dice_roller {

using obs::Scope;
using obs::async::Task;
using obs::http::ClientRequest;

namespace {

constexpr std::size_t kMaxKnown = 100;
constexpr double kTolerance = 1e-6;

obs::Error Invalid(std::string cause) {
  return {obs::ErrorCode::kUnavailable, "die-service-invalid", "The die service gave no valid answer.",
          std::move(cause)};
}

bool IsFraction(const rapidjson::Value& value) {
  return value.IsNumber() && value.GetDouble() >= 0 && value.GetDouble() <= 1;
}

std::string_view View(const rapidjson::Value& text) { return {text.GetString(), text.GetStringLength()}; }

int ParseFace(std::string_view text) {
  int face = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), face);
  if (error != std::errc() || end != text.data() + text.size()) throw Invalid("a face is no integer");
  return face;
}

/// Throws obs::Error when the answer is not that die.
Die ParseDie(const std::string& asked, const std::string& body) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(body.c_str(), body.size());
  if (!document.IsObject()) throw Invalid("the answer is no JSON object");
  const auto identifier = document.FindMember("identifier");
  const auto error_rate = document.FindMember("error_rate");
  const auto probabilities = document.FindMember("probabilities");
  const auto end = document.MemberEnd();
  if (identifier == end || error_rate == end || probabilities == end || !probabilities->value.IsObject()) {
    throw Invalid("identifier, error_rate or probabilities is missing");
  }
  if (!identifier->value.IsString() || View(identifier->value) != asked) throw Invalid("it is another die");
  if (!IsFraction(error_rate->value)) throw Invalid("error_rate is not from 0 to 1");
  Die die{asked, {}, error_rate->value.GetDouble()};
  double sum = 0;
  for (const auto& member : probabilities->value.GetObject()) {
    if (!IsFraction(member.value)) throw Invalid("a probability is not from 0 to 1");
    die.outcomes.push_back({ParseFace(View(member.name)), member.value.GetDouble()});
    sum += member.value.GetDouble();
  }
  if (std::abs(sum - 1) > kTolerance) throw Invalid("the probabilities do not add up to 1");
  return die;
}

}  // namespace

DieClient::DieClient(obs::http::Client& client, const obs::Telemetry& telemetry)
    : client_(client),
      requests_(telemetry.registry.AddCounter(
          "die_service_requests_total",
          "Calls to die-service, by die and status code, refused, timeout or invalid.",
          {"identifier", "status"})),
      duration_(telemetry.registry
                    .AddHistogram("die_service_request_duration_seconds", "Time of calls to die-service.", {},
                                  obs::metrics::HttpDurationBuckets())
                    .With({})) {}

std::string DieClient::LabelOf(const std::string& identifier, bool known) {
  const std::lock_guard lock(mutex_);
  if (known && known_.size() < kMaxKnown) known_.insert(identifier);
  return known_.count(identifier) > 0 ? identifier : "unknown";
}

void DieClient::Count(const std::string& identifier, std::string_view status, bool known) {
  requests_.With({LabelOf(identifier, known), status}).Increment();
}

Task<Die> DieClient::Ask(const std::string& identifier, Scope& scope) {
  const auto start = std::chrono::steady_clock::now();
  obs::http::ClientResponse response;
  try {
    response = co_await client_.Send(ClientRequest("/dice/" + obs::http::PercentEncode(identifier)), scope);
  } catch (const obs::http::ClientError& error) {
    duration_.Observe(std::chrono::steady_clock::now() - start, scope.exemplar());
    Count(identifier, obs::http::Name(error.failure()), false);
    throw;
  }
  duration_.Observe(std::chrono::steady_clock::now() - start, scope.exemplar());
  if (response.status != 200) {
    Count(identifier, std::to_string(response.status), false);
    if (response.status == 404) {
      throw obs::Error(obs::ErrorCode::kUnavailable, "die-not-found",
                       "The die service knows no die '" + identifier + "'.");
    }
    throw Invalid("status " + std::to_string(response.status));
  }
  try {
    Die die = ParseDie(identifier, response.body);
    Count(identifier, "200", true);
    co_return die;
  } catch (const obs::Error&) {
    Count(identifier, "invalid", false);
    throw;
  }
}

Task<Die> DieClient::Get(std::string identifier, Scope& scope) {
  scope.Info("Requesting die specification from die service", {{"die", identifier}});
  try {
    co_return co_await Ask(identifier, scope);
  } catch (const obs::Error& error) {
    scope.Error("die service request failed",
                {{"die", identifier}, {"error_type", error.type()}, {"cause", error.cause()}});
    throw;
  }
}

}  // namespace dice_roller
