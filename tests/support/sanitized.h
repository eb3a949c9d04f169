#pragma once

namespace support {

/// Whether a sanitizer is compiled in: everything is then slower and larger by a factor, so what is counted
/// or bounded for the real program is taken smaller or left out.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

}  // namespace support
