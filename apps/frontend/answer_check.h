#pragma once

#include <string>
#include <string_view>

#include "obs/http/client.h"

namespace frontend {

/// What the answer to a good request must say: an object whose member `name` is `value`. By default nothing.
struct Expectation {
  Expectation() = default;
  Expectation(std::string_view name_, std::string_view value_) : name(name_), value(value_) {}
  std::string name;
  std::string value;
};

/// Why another service's answer must not be handed to a client, "" for one that may: its status is one that
/// our services give, it is a JSON object and says so, it is not compressed, and with status 200 it is about
/// what was asked.
std::string FaultOf(const obs::http::ClientResponse& answer, const Expectation& expected);

}  // namespace frontend
