#include "obs/http/admission.h"

namespace obs::http {

Admission::Entry Admission::Enter(const std::string& address) {
  const std::lock_guard lock(mutex_);
  auto& known = addresses_[address];
  if (!known) known = std::make_shared<Address>();
  const std::size_t all = ++connections_;
  const std::size_t share = ++known->connections;
  if (share > max_per_address_) return {Verdict::kShare, known};
  return {all > max_connections_ ? Verdict::kFull : Verdict::kAdmitted, known};
}

void Admission::Leave(const std::string& address) {
  const std::lock_guard lock(mutex_);
  const auto known = addresses_.find(address);
  if (known != addresses_.end() && --known->second->connections == 0) addresses_.erase(known);
  if (--connections_ == 0) emptied_.notify_all();
}

void Admission::WaitUntilEmpty(std::chrono::milliseconds deadline) {
  std::unique_lock lock(mutex_);
  emptied_.wait_for(lock, deadline, [this] { return connections_ == 0; });
}

bool Admission::Hold(std::size_t bytes) {
  std::size_t pending = pending_bytes_;
  while (pending + bytes <= max_pending_bytes_) {
    if (pending_bytes_.compare_exchange_weak(pending, pending + bytes)) return true;
  }
  return false;
}

}  // namespace obs::http
