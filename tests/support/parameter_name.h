#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace support {

/// Names the instances of a parameterised test: after the parameter's `name`, or after a service.
template <typename Parameter>
std::string ParameterName(const testing::TestParamInfo<Parameter>& parameter) {
  std::string name;
  if constexpr (requires { parameter.param.name; }) {
    name = parameter.param.name;
  } else {
    name = parameter.param;
  }
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

}  // namespace support
