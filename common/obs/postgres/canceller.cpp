#include "obs/postgres/canceller.h"

#include <algorithm>
#include <utility>

namespace obs::postgres {
namespace {

using std::chrono_literals::operator""ms;

/// Between two requests for one statement.
constexpr auto kAgain = 100ms;
/// How long Stop() waits for a request under way.
constexpr auto kStopPatience = 1000ms;

}  // namespace

Canceller::Canceller() : thread_([state = state_] { Work(state); }) {}

void Canceller::Stop() {
  if (!thread_.joinable()) return;
  std::unique_lock lock(state_->mutex);
  state_->stopping = true;
  state_->changed.notify_one();
  const bool over = state_->sent.wait_for(lock, kStopPatience, [this] { return state_->over; });
  lock.unlock();
  if (over) {
    thread_.join();
  } else {
    // It waits for a server that stands still, with nothing of ours but the state that it owns.
    thread_.detach();
  }
}

void Canceller::Work(const std::shared_ptr<State>& state) {
  std::unique_lock lock(state->mutex);
  while (!state->stopping) {
    const auto first =
        std::min_element(state->entries.begin(), state->entries.end(),
                         [](const auto& one, const auto& other) { return one->due < other->due; });
    if (first == state->entries.end() || (*first)->due == Clock::time_point::max()) {
      state->changed.wait(lock);
      continue;
    }
    const std::shared_ptr<Entry> entry = *first;
    if (entry->due > Clock::now()) {
      state->changed.wait_until(lock, entry->due);
      continue;
    }
    entry->sending = true;
    lock.unlock();
    entry->request();
    lock.lock();
    entry->sending = false;
    entry->due = Clock::now() + kAgain;
    state->sent.notify_all();
  }
  state->over = true;
  state->sent.notify_all();
}

Canceller::Run::Run(Canceller& canceller, CancelRequest request, const std::stop_token& stop,
                    Clock::time_point deadline)
    : state_(canceller.state_), entry_(std::make_shared<Entry>()) {
  entry_->request = std::move(request);
  entry_->due = deadline;
  {
    const std::lock_guard lock(state_->mutex);
    state_->entries.push_back(entry_);
  }
  if (deadline != Clock::time_point::max()) state_->changed.notify_one();
  on_stop_.emplace(stop, Want{*this});
}

bool Canceller::Run::End(std::chrono::milliseconds patience) {
  ended_ = true;
  on_stop_.reset();
  std::unique_lock lock(state_->mutex);
  std::erase(state_->entries, entry_);
  return state_->sent.wait_for(lock, patience, [this] { return !entry_->sending; });
}

void Canceller::Run::Want::operator()() const {
  const std::lock_guard lock(run.state_->mutex);
  run.entry_->due = Clock::time_point::min();
  run.state_->changed.notify_one();
}

}  // namespace obs::postgres
