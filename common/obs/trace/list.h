#pragma once

#include <string_view>

#include "obs/http1/text.h"

namespace obs::trace {

/// Calls `each` with every item that is not empty, trimmed.
template <typename Each>
void ForEachItem(std::string_view list, char separator, Each each) {
  while (!list.empty()) {
    const std::size_t end = list.find(separator);
    if (const std::string_view item = http1::Trim(list.substr(0, end)); !item.empty()) {
      each(item);
    }
    list = end == std::string_view::npos ? std::string_view() : list.substr(end + 1);
  }
}

}  // namespace obs::trace
