#pragma once

#include <array>
#include <cstddef>
#include <new>
#include <utility>

namespace obs::async {

/// Memory for coroutine frames and what lives as long as one: each thread keeps a few blocks of each size for
/// the next, because frames are larger than what malloc has a fast way for. Under a sanitizer every block is
/// malloc's, so that it sees a use after free.
class FrameMemory {
 public:
  static void* Allocate(std::size_t size) {
    const std::size_t steps = StepsOf(size);
    if (kPlain || steps > kLists) return ::operator new(size);
    Thread& mine = Mine();
    Block*& first = mine.lists[steps - 1];
    if (first == nullptr) return ::operator new(steps* kStep);
    mine.kept -= steps * kStep;
    return std::exchange(first, first->next);
  }

  static void Free(void* memory, std::size_t size) noexcept {
    const std::size_t steps = StepsOf(size);
    if (!kPlain && steps <= kLists) {
      Thread& mine = Mine();
      if (mine.kept + steps * kStep <= kMostKept) {
        Block*& first = mine.lists[steps - 1];
        first = new (memory) Block{first};
        mine.kept += steps * kStep;
        return;
      }
    }
    ::operator delete(memory);
  }

 private:
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  static constexpr bool kPlain = true;
#else
  static constexpr bool kPlain = false;
#endif
  static constexpr std::size_t kStep = 64;
  static constexpr std::size_t kLists = 32;
  static constexpr std::size_t kMostKept = std::size_t{512} << 10;  ///< bytes a thread, of all sizes

  struct Block {
    Block* next;
  };
  struct Thread {
    ~Thread() {
      kept = kMostKept;  // what is freed after this goes back to malloc
      for (Block*& first : lists) {
        while (first != nullptr) ::operator delete(std::exchange(first, first->next));
      }
    }
    std::array<Block*, kLists> lists{};
    std::size_t kept = 0;
  };

  static std::size_t StepsOf(std::size_t size) { return (size + kStep - 1) / kStep; }
  static Thread& Mine() {
    thread_local Thread thread;
    return thread;
  }
};

/// Gives a class, or a coroutine by its promise, FrameMemory.
struct InFrameMemory {
  static void* operator new(std::size_t size) { return FrameMemory::Allocate(size); }
  static void operator delete(void* memory, std::size_t size) noexcept { FrameMemory::Free(memory, size); }
};

/// FrameMemory as the allocator of a standard type.
template <typename T>
struct FrameAllocator {
  using value_type = T;  // NOLINT(readability-identifier-naming): what the standard calls it
  FrameAllocator() = default;
  template <typename Other>
  FrameAllocator(const FrameAllocator<Other>& /*other*/) {}  // NOLINT(google-explicit-constructor)
  T* allocate(std::size_t count) { return static_cast<T*>(FrameMemory::Allocate(count * sizeof(T))); }
  void deallocate(T* memory, std::size_t count) noexcept { FrameMemory::Free(memory, count * sizeof(T)); }
  template <typename Other>
  bool operator==(const FrameAllocator<Other>& /*other*/) const {
    return true;
  }
};

}  // namespace obs::async
