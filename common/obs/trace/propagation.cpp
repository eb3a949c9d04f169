#include "obs/trace/propagation.h"

#include <opentelemetry/context/context.h>
#include <opentelemetry/trace/context.h>
#include <opentelemetry/trace/default_span.h>
#include <opentelemetry/trace/propagation/b3_propagator.h>
#include <opentelemetry/trace/propagation/http_trace_context.h>
#include <opentelemetry/trace/propagation/jaeger.h>
#include <opentelemetry/trace/tracer.h>

#include <algorithm>

#include "obs/trace/list.h"
#include "obs/trace/pair.h"

namespace obs::trace {
namespace {

namespace otel = opentelemetry::trace;
namespace nostd = opentelemetry::nostd;

// What W3C Baggage obliges a platform to carry (section 3.3.2); we carry no more.
constexpr std::size_t kMaxBaggageMembers = 64;
constexpr std::size_t kMaxBaggageBytes = 8192;

bool IsCapital(char c) { return c >= 'A' && c <= 'Z'; }

class Reader final : public opentelemetry::context::propagation::TextMapCarrier {
 public:
  explicit Reader(const Propagator::Get& get) : get_(get) {}
  nostd::string_view Get(nostd::string_view name) const noexcept override {
    const std::string_view value = get_(FromOtel(name));
    // The SDK takes capitals in `traceparent`, which W3C Trace Context forbids (section 3.2.2).
    const bool refused =
        FromOtel(name) == "traceparent" && std::any_of(value.begin(), value.end(), IsCapital);
    return refused ? nostd::string_view() : ToOtel(value);
  }
  void Set(nostd::string_view, nostd::string_view) noexcept override {}

 private:
  const Propagator::Get& get_;
};

class Writer final : public opentelemetry::context::propagation::TextMapCarrier {
 public:
  explicit Writer(const Propagator::Set& set) : set_(set) {}
  nostd::string_view Get(nostd::string_view) const noexcept override { return {}; }
  void Set(nostd::string_view name, nostd::string_view value) noexcept override {
    set_(FromOtel(name), FromOtel(value));
  }

 private:
  const Propagator::Set& set_;
};

bool IsBaggageValue(std::string_view text) {
  static constexpr std::string_view kForbidden = "\",;\\";
  return std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c <= '~' && kForbidden.find(c) == std::string_view::npos;
  });
}

bool IsPair(std::string_view text) {
  const auto pair = SplitPair(text);
  return pair && http1::IsToken(pair->first) && IsBaggageValue(pair->second);
}

bool IsBaggageMember(std::string_view member) {
  bool first = true;
  bool valid = true;
  ForEachItem(member, ';', [&](std::string_view part) {
    valid = valid && (IsPair(part) || (!first && http1::IsToken(part)));
    first = false;
  });
  return valid && !first;
}

/// The members of a `baggage` header that are well-formed, byte for byte: the SDK's own propagator decodes
/// them and so loses what is allowed unencoded, as in `path=/a`. Null when none is left.
std::shared_ptr<const std::string> ReadBaggage(std::string_view header) {
  std::string baggage;
  std::size_t members = 0;
  ForEachItem(header, ',', [&](std::string_view member) {
    const std::size_t size = baggage.size() + (baggage.empty() ? 0 : 1) + member.size();
    if (members < kMaxBaggageMembers && size <= kMaxBaggageBytes && IsBaggageMember(member)) {
      baggage.append(baggage.empty() ? "" : ",").append(member);
      ++members;
    }
  });
  return baggage.empty() ? nullptr : std::make_shared<const std::string>(std::move(baggage));
}

}  // namespace

Propagator::Impl::Impl(std::string_view names) {
  ForEachItem(names, ',', [&](std::string_view name) {
    if (name == "tracecontext") {
      spans.push_back(std::make_unique<otel::propagation::HttpTraceContext>());
    } else if (name == "b3") {
      spans.push_back(std::make_unique<otel::propagation::B3Propagator>());
    } else if (name == "b3multi") {
      spans.push_back(std::make_unique<otel::propagation::B3PropagatorMultiHeader>());
    } else if (name == "jaeger") {
      spans.push_back(std::make_unique<otel::propagation::JaegerPropagator>());
    } else if (name == "baggage") {
      baggage = true;
    }
  });
}

Context Propagator::Extract(const Get& header) const {
  Context result;
  if (!impl_) {
    return result;
  }
  const Reader reader(header);
  opentelemetry::context::Context found;
  for (const auto& propagator : impl_->spans) {
    found = propagator->Extract(reader, found);
  }
  const otel::SpanContext span = otel::GetSpan(found)->GetContext();
  auto baggage = impl_->baggage ? ReadBaggage(header("baggage")) : nullptr;
  if (span.IsValid() || baggage) {
    result = Context(std::make_shared<const Context::State>(span, std::move(baggage)));
  }
  return result;
}

void Propagator::Inject(const Context& context, const Set& header) const {
  if (!impl_ || !context.state_) {
    return;
  }
  if (context.valid()) {
    const nostd::shared_ptr<otel::Span> span(new otel::DefaultSpan(context.state_->span));
    opentelemetry::context::Context none;
    const opentelemetry::context::Context carried = otel::SetSpan(none, span);
    Writer writer(header);
    for (const auto& propagator : impl_->spans) {
      propagator->Inject(writer, carried);
    }
  }
  if (impl_->baggage && context.state_->baggage) {
    header("baggage", *context.state_->baggage);
  }
}

}  // namespace obs::trace
