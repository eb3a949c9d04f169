#include "support/paths.h"

// Here alone, because a compiler cache takes another checkout for other source wherever its path is defined.
namespace support {

std::string SourcePath(std::string_view relative) {
  return std::string(DICEBOX_SOURCE_DIR "/").append(relative);
}

std::string BuildPath(std::string_view relative) {
  return std::string(DICEBOX_BINARY_DIR "/").append(relative);
}

}  // namespace support
