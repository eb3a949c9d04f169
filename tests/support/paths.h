#pragma once

#include <string>
#include <string_view>

namespace support {

/// Absolute paths inside the checkout and inside the build folder.
std::string SourcePath(std::string_view relative);
std::string BuildPath(std::string_view relative);

}  // namespace support
