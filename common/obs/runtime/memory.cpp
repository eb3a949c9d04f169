#include "obs/runtime/memory.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace obs::runtime {
namespace {

/// Each arena of glibc's malloc keeps what it once had.
constexpr int kArenas = 2;
/// What is larger goes back to the kernel when it is freed. By default the bound grows with what was freed,
/// up to 32 MiB, and one large reply would be kept for ever.
constexpr int kMapBytes = 128 << 10;
constexpr int kKeptBytes = 256 << 10;
constexpr std::size_t kFreedWorthReturning = std::size_t{1} << 20;

/// A segment that cannot be written to is the same as in its file, so its pages can be dropped.
int ReturnSegments(dl_phdr_info* object, std::size_t /*size*/, void* /*data*/) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const std::uintptr_t begin = (object->dlpi_addr + segment.p_vaddr) & ~(page - 1);
    const std::uintptr_t end = object->dlpi_addr + segment.p_vaddr + segment.p_memsz;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the linker gives numbers
    ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
  return 0;
}

}  // namespace

void BoundAllocator() {
  mallopt(M_ARENA_MAX, kArenas);
  mallopt(M_MMAP_THRESHOLD, kMapBytes);
  mallopt(M_TRIM_THRESHOLD, kKeptBytes);
}

void ReturnFreedMemory() {
  const struct mallinfo2 memory = mallinfo2();
  if (memory.fordblks > kFreedWorthReturning) malloc_trim(0);
}

void ReturnStartupMemory() { dl_iterate_phdr(ReturnSegments, nullptr); }

}  // namespace obs::runtime
