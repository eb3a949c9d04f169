#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>

namespace obs::trace {

/// Bytes that grow at their end. The first kInline of them lie in the object itself, so that a usual span
/// costs no allocation for them.
template <std::size_t kInline>
class Bytes {
 public:
  // NOLINTNEXTLINE(*-pro-type-member-init, *-use-equals-default): bytes are written before they are read
  Bytes() {}
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;

  /// Makes room for `size` more bytes, which the caller must write.
  char* Extend(std::size_t size) {
    if (capacity_ - size_ < size) {
      Grow(size_ + size);
    }
    char* const room = data_ + size_;
    size_ += size;
    return room;
  }

  void Erase(std::size_t begin, std::size_t end) {
    std::memmove(data_ + begin, data_ + end, size_ - end);
    size_ -= end - begin;
  }

  std::string_view view() const { return {data_, size_}; }

 private:
  void Grow(std::size_t needed) {
    const std::size_t capacity = std::max(needed, 2 * capacity_);
    auto larger = std::make_unique_for_overwrite<char[]>(capacity);
    std::memcpy(larger.get(), data_, size_);
    heap_ = std::move(larger);
    data_ = heap_.get();
    capacity_ = capacity;
  }

  char inline_[kInline];
  std::unique_ptr<char[]> heap_;
  char* data_ = inline_;
  std::size_t size_ = 0;
  std::size_t capacity_ = kInline;
};

}  // namespace obs::trace
