#pragma once

#include <sys/mman.h>
#include <unistd.h>

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
    std::string text(1 << 20, '\0');
    const ssize_t size = pread(fd(), text.data(), text.size(), 0);
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return text;
  }
  bool Clear() const { return ftruncate(fd(), 0) == 0 && lseek(fd(), 0, SEEK_SET) == 0; }

 private:
  Fd fd_{memfd_create("test", MFD_CLOEXEC)};
};

}  // namespace support
