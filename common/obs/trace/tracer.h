#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "obs/log/logger.h"

namespace obs::config {
class Parser;
}
namespace obs::metrics {
class Registry;
struct Exemplar;
}  // namespace obs::metrics

namespace obs::trace {

class Buffer;
struct Recorder;

enum class Kind { kInternal, kServer, kClient };

/// One attribute of a span: the same kinds of value as the members of a log line.
using Attribute = log::Field;
using Attributes = log::Fields;

/// What crosses threads and processes: a span's identity and the baggage. Immutable and cheap to copy; it is
/// always passed explicitly, because the SDK's own "current context" is local to a thread.
class Context {
 public:
  /// No parent, no baggage.
  Context();

  bool valid() const;    ///< it names a span
  bool sampled() const;  ///< the W3C sampled flag

 private:
  friend class Span;
  friend class Tracer;
  friend class Propagator;
  struct State;
  explicit Context(std::shared_ptr<const State> state);
  std::shared_ptr<const State> state_;
};

/// A running span; ends when destroyed. Move-only. Calls on one span may come from several threads, one at a
/// time.
class Span {
 public:
  Span();  ///< a span that records nothing and has no identity
  Span(Span&&) noexcept;
  Span& operator=(Span&&) noexcept;
  ~Span();

  /// False when it is not sampled: spare yourself the work of computing attributes.
  bool recording() const;
  void Set(const Attribute& attribute);
  void Rename(std::string_view name);
  /// Marks the span failed: status Error with `description`, and the attribute `error.type`.
  void Fail(std::string_view error_type, std::string_view description);
  void End();

  /// The parent for spans below this one, on any thread.
  const Context& context() const;
  /// For log lines about this span.
  const log::Correlation& correlation() const;
  /// For a latency observation; empty unless the span is sampled. Valid while this span lives.
  metrics::Exemplar exemplar() const;

 private:
  friend class Tracer;
  struct Impl;

  Context context_;  ///< owns impl_
  Impl* impl_ = nullptr;
};

/// Starts spans. A cheap handle, thread-safe, must not outlive its provider.
class Tracer {
 public:
  Span Start(std::string_view name, Kind kind, const Context& parent, Attributes attributes = {}) const;

 private:
  friend class Provider;
  std::shared_ptr<const Recorder> recorder_;
};

/// Reads and writes the carriers named by OTEL_PROPAGATORS: tracecontext, baggage (both on by default), b3,
/// b3multi, jaeger, none. Thread-safe.
class Propagator {
 public:
  using Get = std::function<std::string_view(std::string_view name)>;
  using Set = std::function<void(std::string_view name, std::string_view value)>;

  Context Extract(const Get& header) const;
  void Inject(const Context& context, const Set& header) const;

 private:
  friend class Provider;
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

/// The value of the `traceresponse` header (W3C Trace Context Level 2) for a span; empty without one.
std::string TraceResponse(const log::Correlation& correlation);

/// Of a span that goes to a collector.
struct SpanLimits {
  std::size_t attributes = 128;         ///< OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT
  std::size_t attribute_length = 4096;  ///< OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT, in characters
};

struct Config {
  using Strings = std::map<std::string, std::string>;

  std::string service_name{};
  std::string service_version{};
  std::string exporter = "otlp";                  ///< OTEL_TRACES_EXPORTER: otlp, console or none, or a list
  std::string sampler = "parentbased_always_on";  ///< OTEL_TRACES_SAMPLER
  double sampler_ratio = 1.0;                     ///< OTEL_TRACES_SAMPLER_ARG
  std::string propagators = "tracecontext,baggage";  ///< OTEL_PROPAGATORS, comma-separated
  log::Level log_level = log::Level::kWarn;          ///< OTEL_LOG_LEVEL: of the SDK's own messages
  std::size_t queue_size = 32768;                    ///< OTEL_BSP_MAX_QUEUE_SIZE, in spans
  std::size_t queue_bytes = std::size_t{8} << 20;    ///< TRACE_QUEUE_BYTES: of the same spans, encoded
  std::size_t batch_size = 512;                      ///< OTEL_BSP_MAX_EXPORT_BATCH_SIZE, in spans
  std::chrono::milliseconds schedule_delay{1000};    ///< OTEL_BSP_SCHEDULE_DELAY
  SpanLimits limits{};
  /// OTEL_EXPORTER_OTLP_TIMEOUT or OTEL_BSP_EXPORT_TIMEOUT, the smaller: of one export, with all its
  /// attempts.
  std::chrono::milliseconds export_timeout{2000};
  /// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, or OTEL_EXPORTER_OTLP_ENDPOINT and "/v1/traces".
  std::string otlp_endpoint = "http://localhost:4318/v1/traces";
  Strings otlp_headers{};                 ///< OTEL_EXPORTER_OTLP_HEADERS: as they are sent, fit for a request
  std::string otlp_certificate{};         ///< OTEL_EXPORTER_OTLP_CERTIFICATE: file of the CA to trust
  std::string otlp_client_certificate{};  ///< OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: file
  std::string otlp_client_key{};          ///< OTEL_EXPORTER_OTLP_CLIENT_KEY: file
  bool disabled = false;                  ///< OTEL_SDK_DISABLED
  /// OTEL_RESOURCE_ATTRIBUTES, decoded, and OTEL_SERVICE_NAME: they win over what the program says of itself.
  Strings resource_attributes{};
};

/// Reads every OTEL_ variable that concerns traces. As the OpenTelemetry specification asks, a value that is
/// not known is no fault: it becomes a sentence in `warnings`, and the default holds.
Config ReadConfig(config::Parser& parser, std::string service_name, std::string service_version,
                  std::vector<std::string>& warnings);

/// Owns the SDK with its sampler, the queue of finished spans and the OTLP/HTTP exporter, and metrics about
/// itself (`otel_sdk_exporter_span_exported_total`, `…_failed_total`,
/// `otel_sdk_processor_span_dropped_total`, `otel_sdk_processor_span_queue_size`,
/// `otel_sdk_processor_span_queue_capacity`, `otel_sdk_sampler_trace_unsampled_total`). Losing the collector
/// never slows a request and never grows memory beyond the queue: when that is three quarters full, no trace
/// begins in this process, and when it is nearly full, it loses traces that began elsewhere, as a whole where
/// it can. Thread-safe.
class Provider {
 public:
  /// `buffer` gets every span as well, exported or not; it must outlive the provider.
  Provider(const Config& config, metrics::Registry& registry, const log::Logger& logger,
           Buffer* buffer = nullptr);
  ~Provider();
  Provider(const Provider&) = delete;
  Provider& operator=(const Provider&) = delete;

  Tracer tracer() const;
  const Propagator& propagator() const;

  /// Exports what is queued and stops. False when the deadline passed first; what was left is then lost and
  /// counted.
  bool Shutdown(std::chrono::milliseconds deadline);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace obs::trace
