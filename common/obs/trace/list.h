#pragma once

#include <string_view>

namespace obs::trace {

/// Without blanks and tabs at either end.
inline std::string_view Trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

/// Calls `each` with every item that is not empty, trimmed.
template <typename Each>
void ForEachItem(std::string_view list, char separator, Each each) {
  while (!list.empty()) {
    const std::size_t end = list.find(separator);
    if (const std::string_view item = Trim(list.substr(0, end)); !item.empty()) {
      each(item);
    }
    list = end == std::string_view::npos ? std::string_view() : list.substr(end + 1);
  }
}

}  // namespace obs::trace
