#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace obs::http {

/// What a server lets in and keeps: connections in all and for each address, and bytes that wait to be sent.
/// Thread-safe.
class Admission {
 public:
  Admission(std::size_t max_connections, std::size_t max_per_address, std::size_t max_pending_bytes)
      : max_connections_(max_connections),
        max_per_address_(max_per_address),
        max_pending_bytes_(max_pending_bytes) {}

  /// How many connections an address has.
  struct Address {
    std::atomic<std::size_t> connections{0};
  };
  enum class Verdict {
    kAdmitted,
    kFull,   ///< there are max_connections; another must go first
    kShare,  ///< the address has its share
  };
  struct Entry {
    Verdict verdict;
    std::shared_ptr<Address> address;
  };

  /// Counts a connection, whatever the verdict; Leave() takes it away.
  Entry Enter(const std::string& address);
  void Leave(const std::string& address);
  std::size_t connections() const { return connections_; }
  std::size_t max_connections() const { return max_connections_; }
  /// Waits at most `deadline` until no connection is left.
  void WaitUntilEmpty(std::chrono::milliseconds deadline);

  /// False when so many bytes more would be too many.
  bool Hold(std::size_t bytes);
  void Release(std::size_t bytes) { pending_bytes_ -= bytes; }
  std::size_t pending_bytes() const { return pending_bytes_; }

 private:
  const std::size_t max_connections_;
  const std::size_t max_per_address_;
  const std::size_t max_pending_bytes_;
  std::atomic<std::size_t> connections_{0};
  std::atomic<std::size_t> pending_bytes_{0};
  std::mutex mutex_;
  std::condition_variable emptied_;
  std::unordered_map<std::string, std::shared_ptr<Address>> addresses_;
};

}  // namespace obs::http
