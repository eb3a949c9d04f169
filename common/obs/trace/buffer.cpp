#include "obs/trace/buffer.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <random>
#include <utility>

#include "obs/trace/otlp_reader.h"
#include "obs/trace/trace_id.h"

namespace obs::trace {
namespace {

/// So much memory for each chain that a chain has about as many entries as a trace has: more would cost
/// memory, fewer would make look-ups pass entries of other traces.
constexpr std::size_t kBytesPerChain = 512;
/// Copied under one lock, so that a large trace does not make requests wait.
constexpr std::size_t kBytesPerLock = std::size_t{64} << 10;

/// The kernel gives a page, of zeros, when something is written to it.
void* Allocate(std::size_t size) {
  void* const memory = std::calloc(std::max<std::size_t>(size, 1), 1);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

Buffer::Buffer(std::size_t capacity)
    : seed_(std::uint64_t{std::random_device{}()} << 32 | std::random_device{}()),
      chains_(std::bit_floor(std::max<std::size_t>(capacity / kBytesPerChain, 1))),
      capacity_(capacity - std::min(capacity, chains_ * sizeof(std::uint64_t))),
      memory_(static_cast<char*>(Allocate(capacity_))),
      newest_(static_cast<std::uint64_t*>(Allocate(chains_ * sizeof(std::uint64_t)))) {}

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

/// Seeded, because callers choose trace ids: nobody can put traces into one chain on purpose.
std::size_t Buffer::ChainOf(const TraceId& trace) const {
  std::uint64_t hash = (EightBytes(trace, 0) ^ seed_) * 0x9E3779B97F4A7C15;
  hash = (hash ^ hash >> 32 ^ EightBytes(trace, 8)) * (seed_ | 1);
  hash = (hash ^ hash >> 29) * 0xBF58476D1CE4E5B9;
  return (hash ^ hash >> 32) & (chains_ - 1);
}

void Buffer::Add(Kind kind, const TraceId& trace, std::string_view bytes) {
  Entry entry{};
  entry.trace = trace;
  entry.size = static_cast<std::uint32_t>(bytes.size());
  entry.kind = kind;
  const std::size_t size = sizeof(entry) + bytes.size();
  if (size > capacity_) return;
  std::uint64_t& newest = newest_[ChainOf(trace)];
  const std::lock_guard lock(mutex_);
  while (end_ - begin_ + size > capacity_) begin_ += sizeof(Entry) + EntryAt(begin_).size;
  entry.previous = std::exchange(newest, end_);
  Put(end_, &entry, sizeof(entry));
  Put(end_ + sizeof(entry), bytes.data(), bytes.size());
  end_ += size;
}

void Buffer::Add(Kind kind, std::string_view trace_id, std::string_view bytes) {
  if (const auto trace = ParseTraceId(trace_id)) Add(kind, *trace, bytes);
}

/// Goes down a chain from the entry at `at`, or from its newest when that is 0, under one lock. Returns where
/// to go on; 0 at the end.
std::uint64_t Buffer::TakeSome(const TraceId& trace, std::uint64_t at, std::vector<Found>& found) const {
  std::size_t seen = 0;
  const std::lock_guard lock(mutex_);
  if (at == 0) at = newest_[ChainOf(trace)];
  while (at >= begin_ && seen < kBytesPerLock) {
    const Entry entry = EntryAt(at);
    seen += sizeof(entry);
    if (entry.trace == trace) {
      found.push_back({entry.kind, std::string(entry.size, '\0')});
      Get(at + sizeof(entry), found.back().bytes.data(), entry.size);
      seen += entry.size;
    }
    at = entry.previous;
  }
  return at >= begin_ ? at : 0;
}

std::string Buffer::Find(std::string_view trace_id, std::size_t max_bytes) const {
  const auto trace = ParseTraceId(trace_id);
  if (!trace) return {};
  // Newest first, as the chain goes.
  std::vector<std::string> spans;
  std::vector<std::string> lines;
  std::size_t size = 0;
  bool truncated = false;
  std::vector<Found> found;
  for (std::uint64_t at = 0; !truncated;) {
    found.clear();
    at = TakeSome(*trace, at, found);
    for (Found& entry : found) {
      std::string json;
      if (entry.kind == Kind::kSpan) {
        AppendSpanJson(json, entry.bytes);
      } else {
        json = std::move(entry.bytes);
      }
      size += json.size() + 1;
      truncated = size > max_bytes;
      if (truncated) break;
      (entry.kind == Kind::kSpan ? spans : lines).push_back(std::move(json));
    }
    if (at == 0) break;
  }
  if (spans.empty() && lines.empty() && !truncated) return {};
  const auto append = [](std::string& answer, const std::vector<std::string>& newest_first) {
    for (auto entry = newest_first.rbegin(); entry != newest_first.rend(); ++entry) {
      if (entry != newest_first.rbegin()) answer += ',';
      answer += *entry;
    }
  };
  std::string answer = R"({"resourceSpans":[{"resource":)";
  {
    const std::lock_guard lock(mutex_);
    answer += resource_;
  }
  answer += R"(,"scopeSpans":[{"scope":{"name":"obs"},"spans":[)";
  append(answer, spans);
  answer += R"(]}]}],"logs":[)";
  append(answer, lines);
  answer += truncated ? R"(],"truncated":true})" : "]}";
  return answer;
}

}  // namespace obs::trace
