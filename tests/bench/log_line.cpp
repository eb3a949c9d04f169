// What a log line costs the thread that logs: nanoseconds of its processor time, which another program's load
// does not change.
#include <fcntl.h>
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <string>
#include <vector>

#include "obs/log/json.h"
#include "obs/log/logger.h"
#include "obs/log/writer.h"

namespace {

constexpr int kRounds = 25;
constexpr int kCalls = 5000;

double ThreadNanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

/// Nanoseconds a call, the least of the rounds: what else runs can only add.
template <typename Call>
double Least(Call call) {
  std::vector<double> rounds;
  for (int round = 0; round < kRounds; ++round) {
    const double start = ThreadNanoseconds();
    for (int i = 0; i < kCalls; ++i) call(i);
    rounds.push_back((ThreadNanoseconds() - start) / kCalls);
  }
  return *std::min_element(rounds.begin(), rounds.end());
}

obs::log::Correlation SomeSpan() {
  obs::log::Correlation correlation;
  std::string_view("0af7651916cd43dd8448eb211c80319c").copy(correlation.trace_id.data(), 32);
  std::string_view("b7ad6b7169203331").copy(correlation.span_id.data(), 16);
  correlation.trace_flags = 1;
  return correlation;
}

double MeasureText(const std::string& text) {
  std::string out;
  return Least([&](int) {
    out.clear();
    obs::log::AppendJson(out, text);
  });
}

}  // namespace

int main() {
  const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  obs::log::Writer writer(null, std::size_t{256} << 20);
  const obs::log::Logger logger(writer, "die-service", obs::log::Level::kInfo);
  const obs::log::Correlation span = SomeSpan();
  const obs::log::Logger speaking = logger.With(span);
  const std::string agent = "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0";
  const double line = Least([&](int i) {
    speaking.Info("Request handled", {{"method", "GET"},
                                      {"route", "/dice/{die}"},
                                      {"path", "/dice/fair"},
                                      {"status", 200},
                                      {"duration_ms", 0.001 * i},
                                      {"response_bytes", 173},
                                      {"client_address", "127.0.0.1"},
                                      {"user_agent", agent}});
  });
  const double short_line = Least([&](int i) { speaking.Info("Roll completed", {{"index", i}}); });
  const double with = Least([&](int) { logger.With(span).Debug("below the level"); });
  fmt::print("line of 8 fields {:.0f} ns, of 1 field {:.0f} ns; a logger for a span {:.0f} ns\n", line,
             short_line, with);
  std::string german;
  while (german.size() < 1000) german += "Würfel fällt schön ";
  fmt::print("1000 bytes: ASCII {:.0f} ns, German {:.0f} ns, all two-byte characters {:.0f} ns\n",
             MeasureText(std::string(1000, 'x')), MeasureText(german), MeasureText([] {
               std::string text;
               for (int i = 0; i < 500; ++i) text += "ж";
               return text;
             }()));
}
