#include "obs/trace/pipeline.h"

#include <opentelemetry/sdk/trace/batch_span_processor_factory.h>
#include <opentelemetry/sdk/trace/batch_span_processor_options.h>
#include <opentelemetry/sdk/trace/exporter.h>
#include <opentelemetry/sdk/trace/recordable.h>

#include <utility>

namespace obs::trace {
namespace {

namespace sdk = opentelemetry::sdk;
using sdk::common::ExportResult;
using sdk::trace::Recordable;

class CountingExporter final : public sdk::trace::SpanExporter {
 public:
  CountingExporter(std::unique_ptr<Exporter> exporter, std::shared_ptr<Account> account)
      : exporter_(std::move(exporter)), account_(std::move(account)) {}

  std::unique_ptr<Recordable> MakeRecordable() noexcept override { return exporter_->MakeRecordable(); }

  ExportResult Export(const Exporter::Batch& batch) noexcept override {
    account_->Take(batch.size());
    const std::size_t exported = account_->abandoned() ? 0 : exporter_->Export(batch, *account_);
    account_->Settle(exported, batch.size() - exported);
    return exported == batch.size() ? ExportResult::kSuccess : ExportResult::kFailure;
  }

  // An export is over when Export returns.
  bool ForceFlush(std::chrono::microseconds) noexcept override { return true; }
  bool Shutdown(std::chrono::microseconds) noexcept override { return true; }

 private:
  std::unique_ptr<Exporter> exporter_;
  std::shared_ptr<Account> account_;
};

/// Drops before the SDK's queue is full, because the SDK only writes a message for each span that it drops.
class CountingProcessor final : public sdk::trace::SpanProcessor {
 public:
  CountingProcessor(std::unique_ptr<SpanProcessor> queue, std::shared_ptr<Account> account)
      : queue_(std::move(queue)), account_(std::move(account)) {}

  std::unique_ptr<Recordable> MakeRecordable() noexcept override { return queue_->MakeRecordable(); }

  void OnStart(Recordable& span, const opentelemetry::trace::SpanContext& parent) noexcept override {
    queue_->OnStart(span, parent);
  }

  void OnEnd(std::unique_ptr<Recordable>&& span) noexcept override {
    if (account_->Admit()) {
      queue_->OnEnd(std::move(span));
    }
  }

  bool ForceFlush(std::chrono::microseconds timeout) noexcept override { return queue_->ForceFlush(timeout); }

  bool Shutdown(std::chrono::microseconds timeout) noexcept override {
    account_->Close();
    const bool done = queue_->Shutdown(timeout);
    account_->Drain();
    return done;
  }

 private:
  std::unique_ptr<SpanProcessor> queue_;
  std::shared_ptr<Account> account_;
};

}  // namespace

bool Account::Admit() {
  std::size_t waiting = waiting_;
  while (!closed_ && waiting < capacity_) {
    if (waiting_.compare_exchange_weak(waiting, waiting + 1)) {
      return true;
    }
  }
  ++dropped_;
  return false;
}

void Account::End(std::atomic<bool>& flag) {
  {
    const std::lock_guard lock(mutex_);  // or Rest may look, miss it and then sleep
    flag = true;
  }
  ending_.notify_all();
}

bool Account::Rest(std::chrono::milliseconds pause) const {
  std::unique_lock lock(mutex_);
  return !ending_.wait_for(lock, pause, [this] { return closed_ || abandoned_; });
}

std::unique_ptr<sdk::trace::SpanProcessor> MakePipeline(std::unique_ptr<Exporter> exporter,
                                                        const Config& config,
                                                        std::shared_ptr<Account> account) {
  sdk::trace::BatchSpanProcessorOptions options;
  options.max_queue_size = config.queue_size;
  options.max_export_batch_size = config.batch_size;
  options.schedule_delay_millis = config.schedule_delay;
  auto counted = std::make_unique<CountingExporter>(std::move(exporter), account);
  auto queue = sdk::trace::BatchSpanProcessorFactory::Create(std::move(counted), options);
  return std::make_unique<CountingProcessor>(std::move(queue), std::move(account));
}

}  // namespace obs::trace
