#pragma once

namespace obs::runtime {

/// Makes the allocator give back what it does not need. Before the first thread starts.
void BoundAllocator();

/// Gives pages that are free back to the kernel, when that is worth it: after a burst the allocator keeps
/// those that lie between pages in use.
void ReturnFreedMemory();

/// Gives back the pages of the program and its libraries that only the start needed, which are most of them.
/// A page that is needed again is mapped again from the page cache. Call it once, after the start.
void ReturnStartupMemory();

}  // namespace obs::runtime
