// What the trace buffer costs: nanoseconds a span and a line without and with it, and a look-up in a small
// and in a large buffer that is full.
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "obs/log/logger.h"
#include "obs/log/writer.h"
#include "obs/metrics/registry.h"
#include "obs/trace/buffer.h"
#include "obs/trace/tracer.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRounds = 9;
constexpr int kCalls = 20000;

/// Nanoseconds a call, the median of the rounds.
template <typename Call>
double Median(Call call) {
  std::vector<double> rounds;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = Clock::now();
    for (int i = 0; i < kCalls; ++i) call(i);
    rounds.push_back(std::chrono::duration<double, std::nano>(Clock::now() - start).count() / kCalls);
  }
  std::nth_element(rounds.begin(), rounds.begin() + kRounds / 2, rounds.end());
  return rounds[kRounds / 2];
}

struct Costs {
  double span;
  double line;
};

/// As obs::runtime puts them together, with the exporter off: what a request's spans and lines cost by
/// themselves.
Costs Measure(obs::trace::Buffer* buffer) {
  obs::log::Writer writer(open("/dev/null", O_WRONLY | O_CLOEXEC));
  obs::log::LineObserver observer;
  if (buffer != nullptr) {
    observer = [buffer](const obs::log::Correlation& correlation, std::string_view line) {
      buffer->Add(obs::trace::Buffer::Kind::kLine, correlation.trace_id_view(), line);
    };
  }
  const obs::log::Logger logger(writer, "bench", obs::log::Level::kInfo, observer);
  obs::metrics::Registry registry;
  obs::trace::Provider provider({.service_name = "bench", .exporter = "none"}, registry, logger, buffer);
  const obs::trace::Tracer tracer = provider.tracer();
  const obs::trace::Span request = tracer.Start("GET /roll-async", obs::trace::Kind::kServer, {});
  const obs::log::Logger speaking = logger.With(request.correlation());
  Costs costs{};
  costs.span = Median([&](int i) {
    obs::trace::Span span = tracer.Start("roll", obs::trace::Kind::kInternal, request.context(),
                                         {{"die.type", "fair"}, {"roll.index", i}});
    span.Set({"roll.result", 6});
  });
  costs.line = Median([&](int i) {
    speaking.Info("Roll completed", {{"die", "fair"}, {"index", i}, {"result", 6}, {"mode", "async"}});
  });
  return costs;
}

/// Microseconds of a look-up in a full buffer: of a trace that is not there, and of one of a hundred spans.
void MeasureLookUp(std::size_t capacity) {
  obs::trace::Buffer buffer(capacity);
  const std::string line(300, 'x');
  const auto id = [](std::size_t trace) { return fmt::format("{:032x}", trace + 1); };
  for (std::size_t n = 0; n * line.size() < capacity; ++n) {
    buffer.Add(obs::trace::Buffer::Kind::kLine, id(n / 100), line);
  }
  const std::string absent = id(0x7fffffff);
  const std::string present = id(capacity / line.size() / 100 - 1);
  std::size_t found = 0;
  const double no = Median([&](int i) { found += i % 20 == 0 ? buffer.Find(absent).size() : 0; });
  const double yes = Median([&](int i) { found += i % 2000 == 0 ? buffer.Find(present).size() : 0; });
  fmt::print("look-up in {} MiB: {:.1f} us without result, {:.1f} us with {} bytes\n", capacity >> 20,
             no * 20 / 1e3, yes * 2000 / 1e3, found / kRounds / (kCalls / 2000));
}

}  // namespace

int main() {
  const Costs without = Measure(nullptr);
  obs::trace::Buffer buffer(std::size_t{4} << 20);
  const Costs with = Measure(&buffer);
  fmt::print("span: {:.0f} ns without, {:.0f} ns with the buffer\n", without.span, with.span);
  fmt::print("line: {:.0f} ns without, {:.0f} ns with the buffer\n", without.line, with.line);
  MeasureLookUp(std::size_t{4} << 20);
  MeasureLookUp(std::size_t{512} << 20);
}
