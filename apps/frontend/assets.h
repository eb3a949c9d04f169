#pragma once

#include <map>
#include <string_view>

namespace frontend {

/// The files of web/, by name. Made at build time by embed.cmake.
const std::map<std::string_view, std::string_view>& Assets();

}  // namespace frontend
