#include "obs/async/loop.h"

#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>

namespace obs::async {
namespace {

int Checked(int fd, const char* what) {
  if (fd < 0) throw std::system_error(errno, std::generic_category(), what);
  return fd;
}

/// A token is the tag bit, 31 bits of generation and 32 of the slot.
constexpr std::uint32_t kGenerationMask = 0x7fffffff;

std::uint32_t SlotOf(Loop::Token token) { return static_cast<std::uint32_t>(token); }
std::uint32_t GenerationOf(Loop::Token token) {
  return static_cast<std::uint32_t>(token >> 32) & kGenerationMask;
}

void DrainCounter(int fd) {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t size = ::read(fd, &count, sizeof(count));
}

}  // namespace

Mailbox::Mailbox() : fd_(Checked(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")) {}

Mailbox::~Mailbox() { ::close(fd_); }

bool Mailbox::Post(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  work_.push_back(std::move(work));
  if (work_.size() > 1) return true;  // the loop is about to wake already
  const std::uint64_t one = 1;
  // It fails only when the counter is full, and then the loop is about to wake as well.
  [[maybe_unused]] const ssize_t size = ::write(fd_, &one, sizeof(one));
  return true;
}

std::vector<std::function<void()>> Mailbox::Take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(work_, {});
}

void Mailbox::Close() {
  std::vector<std::function<void()>> dropped;
  const std::lock_guard lock(mutex_);
  closed_ = true;
  dropped.swap(work_);
}

void Timer::Arm(Loop& loop, Clock::time_point when) {
  Disarm();
  loop_ = &loop;
  when_ = when;
  loop.AddTimer(*this);
}

void Timer::Disarm() {
  if (armed()) loop_->RemoveTimer(*this);
}

class Loop::Spawned final : public Root::Listener {
 public:
  explicit Spawned(Loop& loop) : loop_(loop) {}
  void Start(Task<void> task) { root_.Start(std::move(task), *this); }
  void Cancel() { root_.Cancel(); }

  std::list<std::unique_ptr<Spawned>>::iterator place;

 private:
  void OnFinished() override {
    loop_.Defer([this] { loop_.spawned_.erase(place); });
  }

  Loop& loop_;
  Root root_;
};

Loop::Loop()
    : timer_fd_(Checked(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), "timerfd_create")),
      mailbox_(std::make_shared<Mailbox>()) {}

Loop::~Loop() {
  Stop();
  ::close(timer_fd_);
}

void Loop::Start(Poller& poller) {
  poller_ = &poller;
  Watch(timer_fd_, timer_source_);
  Watch(mailbox_->fd_, mail_source_);
}

void Loop::Stop() {
  if (std::exchange(stopped_, true)) return;
  for (; !at_stop_.empty(); at_stop_.pop_back()) at_stop_.back()();
  // A task that is cancelled may have deferred or spawned something.
  while (!spawned_.empty()) {
    const std::unique_ptr<Spawned> last = std::move(spawned_.back());
    spawned_.pop_back();
    last->Cancel();
  }
  deferred_.clear();
  locals_.clear();
  mailbox_->Close();
}

void Loop::Dispatch(std::uint64_t tag, const Readiness& ready) {
  const std::uint32_t slot = SlotOf(tag);
  if (slot >= slots_.size()) return;
  const Slot& named = slots_[slot];
  if (named.source != nullptr && named.generation == GenerationOf(tag)) named.source->OnReady(ready);
}

void Loop::EndBatch() {
  while (!deferred_.empty()) {
    for (auto& work : std::exchange(deferred_, {})) work();
  }
}

Loop::Token Loop::Add(Source& source) {
  std::uint32_t slot = 0;
  if (free_slots_.empty()) {
    slot = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  slots_[slot].source = &source;
  return kTagBit | std::uint64_t{slots_[slot].generation} << 32 | slot;
}

Loop::Token Loop::Watch(int fd, Source& source) {
  const Token token = Add(source);
  try {
    poller_->Watch(fd, token);
  } catch (...) {
    Forget(token);
    throw;
  }
  return token;
}

void Loop::Forget(Token token) {
  Slot& slot = slots_[SlotOf(token)];
  slot.source = nullptr;
  slot.generation = (slot.generation + 1) & kGenerationMask;
  free_slots_.push_back(SlotOf(token));
}

void Loop::Wake(const std::shared_ptr<Mailbox>& mailbox, Loop* loop, Token token) {
  mailbox->Post([loop, token] { loop->Dispatch(token, {}); });
}

void Loop::Spawn(Task<void> task) {
  if (stopped_) return;
  auto& spawned = spawned_.emplace_back(std::make_unique<Spawned>(*this));
  spawned->place = std::prev(spawned_.end());
  spawned->Start(std::move(task));
}

void Loop::Defer(std::function<void()> work) {
  if (stopped_) return;
  deferred_.push_back(std::move(work));
}

std::uint64_t Loop::NewLocalKey() {
  static std::atomic<std::uint64_t> next{0};
  return ++next;
}

Loop::Local& Loop::LocalOf(std::uint64_t key, const std::function<std::unique_ptr<Local>(Loop&)>& make) {
  auto& local = locals_[key];
  if (!local) local = make(*this);
  return *local;
}

void Loop::RunTimers() {
  DrainCounter(timer_fd_);
  alarm_ = Clock::time_point::min();  // no timer that is armed meanwhile sets it
  const auto now = Clock::now();
  while (!heap_.empty() && heap_.front()->when_ <= now) {
    Timer& due = *heap_.front();
    RemoveTimer(due);
    due.OnTimer();
  }
  alarm_ = Clock::time_point::max();
  if (!heap_.empty()) SetAlarm(heap_.front()->when_);
}

void Loop::RunPosted() {
  DrainCounter(mailbox_->fd_);
  for (auto& work : mailbox_->Take()) {
    if (stopped_) return;
    work();
  }
}

void Loop::SetAlarm(Clock::time_point when) {
  alarm_ = when;
  // 0 would disarm it.
  const auto nanoseconds = std::max<std::int64_t>(
      1, std::chrono::duration_cast<std::chrono::nanoseconds>(when.time_since_epoch()).count());
  itimerspec spec{};
  spec.it_value.tv_sec = nanoseconds / 1'000'000'000;
  spec.it_value.tv_nsec = nanoseconds % 1'000'000'000;
  ::timerfd_settime(timer_fd_, TFD_TIMER_ABSTIME, &spec, nullptr);
}

void Loop::AddTimer(Timer& timer) {
  heap_.push_back(&timer);
  MoveUp(heap_.size() - 1);
  if (timer.when_ < alarm_) SetAlarm(timer.when_);
}

/// The alarm stays as it is: at worst the loop wakes once for nothing.
void Loop::RemoveTimer(Timer& timer) {
  const std::size_t place = std::exchange(timer.place_, Timer::kNowhere);
  Timer* last = heap_.back();
  heap_.pop_back();
  if (last == &timer) return;
  Place(place, last);
  MoveUp(place);
  MoveDown(last->place_);
}

void Loop::Place(std::size_t place, Timer* timer) {
  heap_[place] = timer;
  timer->place_ = place;
}

void Loop::MoveUp(std::size_t place) {
  Timer* timer = heap_[place];
  for (; place > 0 && heap_[(place - 1) / 2]->when_ > timer->when_; place = (place - 1) / 2) {
    Place(place, heap_[(place - 1) / 2]);
  }
  Place(place, timer);
}

void Loop::MoveDown(std::size_t place) {
  Timer* timer = heap_[place];
  for (;;) {
    std::size_t child = 2 * place + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1]->when_ < heap_[child]->when_) ++child;
    if (heap_[child]->when_ >= timer->when_) break;
    Place(place, heap_[child]);
    place = child;
  }
  Place(place, timer);
}

std::span<char> Loop::ReadBuffer() {
  constexpr std::size_t kSize = 16384;
  if (!read_buffer_) read_buffer_ = std::make_unique_for_overwrite<char[]>(kSize);
  return {read_buffer_.get(), kSize};
}

}  // namespace obs::async
