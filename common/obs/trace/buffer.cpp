#include "obs/trace/buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace obs::trace {

// Not touched before it is needed: the kernel gives a page when something is written to it.
Buffer::Buffer(std::size_t capacity)
    : capacity_(capacity), memory_(std::make_unique_for_overwrite<char[]>(capacity)) {}

void Buffer::SetResource(std::string json) {
  const std::lock_guard lock(mutex_);
  resource_ = std::move(json);
}

void Buffer::Put(std::uint64_t at, const void* from, std::size_t size) {
  const std::size_t place = at % capacity_;
  const std::size_t first = std::min(size, capacity_ - place);
  std::memcpy(&memory_[place], from, first);
  std::memcpy(&memory_[0], static_cast<const char*>(from) + first, size - first);
}

void Buffer::Get(std::uint64_t at, void* to, std::size_t size) const {
  const std::size_t place = at % capacity_;
  const std::size_t first = std::min(size, capacity_ - place);
  std::memcpy(to, &memory_[place], first);
  std::memcpy(static_cast<char*>(to) + first, &memory_[0], size - first);
}

Buffer::Entry Buffer::EntryAt(std::uint64_t at) const {
  Entry entry{};
  Get(at, &entry, sizeof(entry));
  return entry;
}

void Buffer::Add(Kind kind, std::string_view trace_id, std::string_view json) {
  Entry entry{{}, static_cast<std::uint32_t>(json.size()), kind};
  const std::size_t size = sizeof(entry) + json.size();
  if (trace_id.size() != entry.trace_id.size() || size > capacity_) return;
  trace_id.copy(entry.trace_id.data(), entry.trace_id.size());
  const std::lock_guard lock(mutex_);
  while (end_ - begin_ + size > capacity_) begin_ += sizeof(Entry) + EntryAt(begin_).size;
  Put(end_, &entry, sizeof(entry));
  Put(end_ + sizeof(entry), json.data(), json.size());
  end_ += size;
}

std::string Buffer::Find(std::string_view trace_id) const {
  std::string spans;
  std::string lines;
  const std::lock_guard lock(mutex_);
  for (std::uint64_t at = begin_; at < end_;) {
    const Entry entry = EntryAt(at);
    at += sizeof(entry);
    if (std::string_view(entry.trace_id.data(), entry.trace_id.size()) == trace_id) {
      std::string& list = entry.kind == Kind::kSpan ? spans : lines;
      if (!list.empty()) list += ',';
      list.resize(list.size() + entry.size);
      Get(at, &list[list.size() - entry.size], entry.size);
    }
    at += entry.size;
  }
  if (spans.empty() && lines.empty()) return {};
  return R"({"resourceSpans":[{"resource":)" + resource_ +
         R"(,"scopeSpans":[{"scope":{"name":"obs"},"spans":[)" + spans + R"(]}]}],"logs":[)" + lines + "]}";
}

}  // namespace obs::trace
