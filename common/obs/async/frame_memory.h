#pragma once

#include <array>
#include <cstddef>
#include <new>

namespace obs::async {

/// Memory for coroutine frames and what lives as long as one: each thread keeps a few blocks of each size for
/// the next, because frames are larger than what malloc has a fast way for. Under a sanitizer every block is
/// malloc's, so that it sees a use after free.
class FrameMemory {
 public:
  static void* Allocate(std::size_t size) {
    const std::size_t steps = StepsOf(size);
    if (kPlain || steps > kLists) return ::operator new(size);
    List& list = Mine().lists[steps - 1];
    if (list.first == nullptr) return ::operator new(steps* kStep);
    Block* block = list.first;
    list.first = block->next;
    --list.count;
    return block;
  }

  static void Free(void* memory, std::size_t size) noexcept {
    const std::size_t steps = StepsOf(size);
    if (kPlain || steps > kLists || Mine().lists[steps - 1].count >= kKept) {
      ::operator delete(memory);
      return;
    }
    List& list = Mine().lists[steps - 1];
    list.first = new (memory) Block{list.first};
    ++list.count;
  }

 private:
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  static constexpr bool kPlain = true;
#else
  static constexpr bool kPlain = false;
#endif
  static constexpr std::size_t kStep = 256;
  static constexpr std::size_t kLists = 16;
  static constexpr std::size_t kKept = 64;  ///< blocks of one size: at most 544 KiB a thread in all

  struct Block {
    Block* next;
  };
  struct List {
    Block* first = nullptr;
    std::size_t count = 0;
  };
  struct Thread {
    ~Thread() {
      for (List& list : lists) {
        list.count = kKept;  // what is freed after this goes back to malloc
        while (list.first != nullptr) {
          Block* block = list.first;
          list.first = block->next;
          ::operator delete(block);
        }
      }
    }
    std::array<List, kLists> lists;
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

}  // namespace obs::async
