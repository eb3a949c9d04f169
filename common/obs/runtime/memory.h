#pragma once

namespace obs::runtime {

/// Makes the allocator give back what it does not need. Before the first thread starts.
void BoundAllocator();

/// Gives pages that are free back to the kernel, when that is worth it: after a burst the allocator keeps
/// those that lie between pages in use.
void ReturnFreedMemory();

/// Gives the pages of programs and libraries back that nothing but the start needed, which are most: those
/// that are needed again come back one by one from the page cache. Once, after the start.
void ReturnStartupMemory();

}  // namespace obs::runtime
