#include "obs/metrics/registry.h"

#include <prometheus/check_names.h>
#include <prometheus/collectable.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <utility>

#include "obs/metrics/exposition.h"
#include "obs/text/utf8.h"

namespace obs::metrics {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricType;

struct Description {
  std::string name;
  std::string help;
  std::vector<std::string> labels{};
  std::vector<double> bounds{};  // of a histogram

  bool operator==(const Description&) const = default;
};

[[noreturn]] void Reject(const std::string& name, const std::string& reason) {
  throw std::invalid_argument("metric " + name + ": " + reason);
}

void Check(const Description& family, MetricType type) {
  if (!prometheus::CheckMetricName(family.name)) Reject(family.name, "not a metric name");
  if ((type == MetricType::Counter) != family.name.ends_with("_total")) {
    Reject(family.name, "names of counters, and no others, end in _total");
  }
  if (!text::IsUtf8(family.help)) Reject(family.name, "the help is not UTF-8");
  for (auto label = family.labels.begin(); label != family.labels.end(); ++label) {
    const bool reserved = type == MetricType::Histogram && *label == "le";
    if (reserved || !prometheus::CheckLabelName(*label))
      Reject(family.name, "label " + *label + " is not allowed");
    if (std::find(family.labels.begin(), label, *label) != label)
      Reject(family.name, "label " + *label + " twice");
  }
  const auto& bounds = family.bounds;
  if (!std::all_of(bounds.begin(), bounds.end(), [](double bound) { return std::isfinite(bound); }) ||
      std::adjacent_find(bounds.begin(), bounds.end(), std::greater_equal<>()) != bounds.end()) {
    Reject(family.name, "bounds must be finite and ascending");
  }
}

class AnyFamily {
 public:
  virtual ~AnyFamily() = default;
  virtual FamilySnapshot Collect() const = 0;
};

/// One label set's metric, and how to read it.
template <typename Metric>
struct Series {
  explicit Series(const Description&) {}
  ClientMetric Collect() const { return metric.Collect(); }

  Metric metric;
};

template <>
struct Series<Histogram> {
  explicit Series(const Description& family) : buckets(family.bounds), metric(buckets, family.bounds) {}
  ClientMetric Collect() const { return buckets.Collect(); }

  prometheus::Histogram buckets;
  Histogram metric;
};

template <typename Metric>
constexpr MetricType kType = Metric::metric_type;
template <>
constexpr MetricType kType<Histogram> = MetricType::Histogram;

/// Orders label values whether they are owned or borrowed, so that a look-up copies nothing.
struct LessValues {
  using is_transparent = void;
  template <typename A, typename B>
  bool operator()(const A& a, const B& b) const {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
  }
};

template <typename Metric>
class LabelledFamily final : public Family<Metric>, public AnyFamily {
 public:
  LabelledFamily(Description description, std::size_t limit)
      : description_(std::move(description)), limit_(limit) {
    if (description_.labels.empty()) Add({});
  }

  const Description& description() const { return description_; }

  Metric& With(std::initializer_list<std::string_view> values) override {
    if (values.size() != description_.labels.size()) {
      Reject(description_.name, "takes " + std::to_string(description_.labels.size()) +
                                    " label values, not " + std::to_string(values.size()));
    }
    {
      std::shared_lock lock(mutex_);
      if (const auto found = series_.find(values); found != series_.end()) return found->second.metric;
    }
    return Add(values);
  }

  FamilySnapshot Collect() const override {
    FamilySnapshot snapshot{{description_.name, description_.help, kType<Metric>, {}}, {}};
    std::shared_lock lock(mutex_);
    for (const auto& [values, series] : series_) {
      ClientMetric& metric = snapshot.family.metric.emplace_back(series.Collect());
      for (std::size_t i = 0; i < values.size(); ++i)
        metric.label.push_back({description_.labels[i], values[i]});
      if constexpr (std::is_same_v<Metric, Histogram>) snapshot.exemplars.push_back(Exemplars(series.metric));
    }
    return snapshot;
  }

 private:
  Metric& Add(std::initializer_list<std::string_view> values) {
    std::vector<std::string> key(values.begin(), values.end());
    std::unique_lock lock(mutex_);
    const bool full = series_.size() >= limit_ && !series_.contains(values);
    if (full || !std::all_of(values.begin(), values.end(), text::IsUtf8)) key.assign(values.size(), "_other");
    return series_.try_emplace(std::move(key), description_).first->second.metric;
  }

  const Description description_;
  const std::size_t limit_;
  mutable std::shared_mutex mutex_;
  std::map<std::vector<std::string>, Series<Metric>, LessValues> series_;  // guarded by mutex_; only grows
};

class CallbackFamily final : public AnyFamily {
 public:
  CallbackFamily(Description description, MetricType type, std::function<double()> read)
      : description_(std::move(description)), type_(type), read_(std::move(read)) {}

  FamilySnapshot Collect() const override {
    ClientMetric metric;
    (type_ == MetricType::Counter ? metric.counter.value : metric.gauge.value) = read_();
    return {{description_.name, description_.help, type_, {std::move(metric)}}, {}};
  }

 private:
  const Description description_;
  const MetricType type_;
  const std::function<double()> read_;
};

/// The families of a page, each once.
class Page {
 public:
  void Add(FamilySnapshot snapshot) {
    std::string name(FamilyName(snapshot.family.name, snapshot.family.type));
    const auto [place, fresh] = families_.try_emplace(std::move(name), std::move(snapshot));
    if (fresh || place->second.family.type != snapshot.family.type) return;
    auto& metrics = place->second.family.metric;
    std::move(snapshot.family.metric.begin(), snapshot.family.metric.end(), std::back_inserter(metrics));
  }

  std::string Write(Format format) const {
    Exposition exposition(format);
    for (const auto& [name, snapshot] : families_) exposition.Add(snapshot);
    return exposition.Finish();
  }

 private:
  std::map<std::string, FamilySnapshot> families_;
};

}  // namespace

struct Registry::Impl {
  std::unique_ptr<AnyFamily>& Place(const Description& description, MetricType type) {
    return families[std::string(FamilyName(description.name, type))];
  }

  template <typename Metric>
  Family<Metric>& Add(const Description& description, std::size_t limit) {
    Check(description, kType<Metric>);
    std::lock_guard lock(mutex);
    std::unique_ptr<AnyFamily>& place = Place(description, kType<Metric>);
    if (!place) place = std::make_unique<LabelledFamily<Metric>>(description, limit);
    auto* family = dynamic_cast<LabelledFamily<Metric>*>(place.get());
    if (family == nullptr || family->description() != description) {
      Reject(description.name, "is there already, with another type, help, labels or bounds");
    }
    return *family;
  }

  void AddCallback(const Description& description, MetricType type, std::function<double()> read) {
    Check(description, type);
    std::lock_guard lock(mutex);
    std::unique_ptr<AnyFamily>& place = Place(description, type);
    if (place) Reject(description.name, "is there already");
    place = std::make_unique<CallbackFamily>(description, type, std::move(read));
  }

  // What is there stays there, so that reading the metrics needs no lock: a callback may use the registry.
  std::pair<std::vector<const AnyFamily*>, std::vector<std::shared_ptr<prometheus::Collectable>>> Sources()
      const {
    std::lock_guard lock(mutex);
    std::vector<const AnyFamily*> sources;
    for (const auto& [name, family] : families) sources.push_back(family.get());
    return {std::move(sources), collectables};
  }

  mutable std::mutex mutex;
  std::map<std::string, std::unique_ptr<AnyFamily>> families;          // guarded by mutex; by FamilyName()
  std::vector<std::shared_ptr<prometheus::Collectable>> collectables;  // guarded by mutex
};

Registry::Registry() : impl_(std::make_unique<Impl>()) {}
Registry::~Registry() = default;

Family<Counter>& Registry::AddCounter(const std::string& name, const std::string& help,
                                      std::vector<std::string> labels, std::size_t limit) {
  return impl_->Add<Counter>({name, help, std::move(labels)}, limit);
}

Family<Gauge>& Registry::AddGauge(const std::string& name, const std::string& help,
                                  std::vector<std::string> labels, std::size_t limit) {
  return impl_->Add<Gauge>({name, help, std::move(labels)}, limit);
}

Family<Histogram>& Registry::AddHistogram(const std::string& name, const std::string& help,
                                          std::vector<std::string> labels, std::vector<double> bounds,
                                          std::size_t limit) {
  return impl_->Add<Histogram>({name, help, std::move(labels), std::move(bounds)}, limit);
}

void Registry::AddCallbackGauge(const std::string& name, const std::string& help,
                                std::function<double()> read) {
  impl_->AddCallback({name, help}, MetricType::Gauge, std::move(read));
}

void Registry::AddCallbackCounter(const std::string& name, const std::string& help,
                                  std::function<double()> read) {
  impl_->AddCallback({name, help}, MetricType::Counter, std::move(read));
}

void Registry::AddCollectable(std::shared_ptr<prometheus::Collectable> collectable) {
  std::lock_guard lock(impl_->mutex);
  impl_->collectables.push_back(std::move(collectable));
}

std::string Registry::Render(Format format) const {
  const auto [families, collectables] = impl_->Sources();
  Page page;
  for (const AnyFamily* family : families) page.Add(family->Collect());
  for (const auto& collectable : collectables) {
    for (prometheus::MetricFamily& family : collectable->Collect()) page.Add({std::move(family), {}});
  }
  return page.Write(format);
}

}  // namespace obs::metrics
