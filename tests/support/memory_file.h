#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <string>

#include "support/socket.h"

namespace support {

/// A file in memory for what a test's subject writes by descriptor. Declare it before the subject, so that
/// it is closed after it.
class MemoryFile {
 public:
  int fd() const { return fd_.get(); }

  /// Everything written so far.
  std::string Text() const {
    constexpr std::size_t kStep = std::size_t{1} << 20;
    std::string text;
    std::size_t size = 0;
    ssize_t count = 0;
    do {
      text.resize(size + kStep);
      count = pread(fd(), text.data() + size, kStep, static_cast<off_t>(size));
      if (count > 0) size += static_cast<std::size_t>(count);
    } while (count > 0);
    text.resize(size);
    return text;
  }
  bool Clear() const { return ftruncate(fd(), 0) == 0 && lseek(fd(), 0, SEEK_SET) == 0; }

 private:
  Fd fd_{memfd_create("test", MFD_CLOEXEC)};
};

}  // namespace support
