#include "obs/metrics/histogram.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "obs/metrics/exposition.h"

namespace obs::metrics {

struct Histogram::Slot {
  std::mutex mutex;
  BucketExemplar exemplar;  // guarded by mutex
};

Histogram::Histogram(prometheus::Histogram& histogram, std::vector<double> bounds)
    : histogram_(histogram),
      bounds_(std::move(bounds)),
      slots_(std::make_unique<Slot[]>(bounds_.size() + 1)) {}

Histogram::~Histogram() = default;

void Histogram::Observe(double value, const Exemplar& exemplar) {
  if (std::isnan(value)) return;
  histogram_.Observe(value);
  const bool complete = exemplar.trace_id.size() == 32 && exemplar.span_id.size() == 16;
  if (!complete) return;
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  Slot& slot = slots_[static_cast<std::size_t>(bucket)];
  // Whoever holds the lock stores an observation of the same moment, or a scrape reads: nobody need wait.
  std::unique_lock lock(slot.mutex, std::try_to_lock);
  if (!lock) return;
  exemplar.trace_id.copy(slot.exemplar.trace_id.data(), slot.exemplar.trace_id.size());
  exemplar.span_id.copy(slot.exemplar.span_id.data(), slot.exemplar.span_id.size());
  slot.exemplar.value = value;
  slot.exemplar.time = std::chrono::system_clock::now();
}

std::vector<BucketExemplar> Exemplars(const Histogram& histogram) {
  std::vector<BucketExemplar> exemplars;
  exemplars.reserve(histogram.bounds_.size() + 1);
  for (std::size_t i = 0; i <= histogram.bounds_.size(); ++i) {
    std::lock_guard lock(histogram.slots_[i].mutex);
    exemplars.push_back(histogram.slots_[i].exemplar);
  }
  return exemplars;
}

const std::vector<double>& HttpDurationBuckets() {
  static const std::vector<double> kBuckets = {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25,
                                               0.5,   0.75, 1,     2.5,  5,     7.5, 10};
  return kBuckets;
}

const std::vector<double>& DatabaseDurationBuckets() {
  static const std::vector<double> kBuckets = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10};
  return kBuckets;
}

}  // namespace obs::metrics
