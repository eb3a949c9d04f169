// span_cost [CASE]
// What a span costs: nanoseconds of CPU on the thread that makes it, and in the whole process with its
// exporter. The collector is another process, which reads and answers, so that its work is not counted.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "obs/log/logger.h"
#include "obs/log/writer.h"
#include "obs/metrics/registry.h"
#include "obs/trace/buffer.h"
#include "obs/trace/tracer.h"

namespace {

constexpr int kRounds = 41;
constexpr int kSpans = 4000;  // fewer than may wait, so that none is dropped

double Seconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// Answers every request with 200 for as long as its parent lives.
[[noreturn]] void Collect(int listener) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  std::vector<pollfd> sockets = {{listener, POLLIN, 0}};
  std::map<int, std::string> received;
  for (;;) {
    poll(sockets.data(), sockets.size(), -1);
    for (std::size_t i = 1; i < sockets.size(); ++i) {
      if (sockets[i].fd < 0 || sockets[i].revents == 0) continue;
      std::string& bytes = received[sockets[i].fd];
      char part[65536];
      const ssize_t count = read(sockets[i].fd, part, sizeof(part));
      if (count <= 0) {
        bytes.clear();
        close(std::exchange(sockets[i].fd, -1));
        continue;
      }
      bytes.append(part, static_cast<std::size_t>(count));
      const std::size_t head = bytes.find("\r\n\r\n");
      const std::size_t length = bytes.find("Content-Length: ");
      if (head == std::string::npos || length == std::string::npos) continue;
      const std::size_t size = head + 4 + std::strtoul(&bytes[length + 16], nullptr, 10);
      if (bytes.size() < size) continue;
      bytes.clear();
      if (write(sockets[i].fd, kAnswer.data(), kAnswer.size()) < 0) std::_Exit(0);
    }
    if (sockets[0].revents != 0) sockets.push_back({accept(listener, nullptr, nullptr), POLLIN, 0});
  }
}

std::string StartCollector() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener, 64) != 0) {
    throw std::runtime_error("the collector cannot listen");
  }
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  if (fork() == 0) Collect(listener);
  close(listener);
  return fmt::format("http://127.0.0.1:{}/v1/traces", ntohs(address.sin_port));
}

double Value(const obs::metrics::Registry& registry, std::string_view name) {
  const std::string page = "\n" + registry.Render(obs::metrics::Format::kText);
  const std::size_t at = page.find(fmt::format("\n{} ", name));
  return at == std::string::npos ? 0 : std::strtod(&page[at + name.size() + 2], nullptr);
}

std::string_view only;  ///< of the cases, those whose title begins so

using Make = std::function<void(const obs::trace::Tracer&, const obs::trace::Context&)>;

void WithFive(const obs::trace::Tracer& tracer, const obs::trace::Context& parent) {
  obs::trace::Span span =
      tracer.Start("GET /roll", obs::trace::Kind::kServer, parent,
                   {{"http.request.method", "GET"}, {"url.path", "/roll"}, {"http.route", "/roll"}});
  span.Set({"http.response.status_code", 200});
  span.Set({"roll.result", 6});
}

void WithTen(const obs::trace::Tracer& tracer, const obs::trace::Context& parent) {
  obs::trace::Span span = tracer.Start("GET /roll", obs::trace::Kind::kServer, parent,
                                       {{"http.request.method", "GET"},
                                        {"url.scheme", "http"},
                                        {"url.path", "/roll"},
                                        {"url.query", "die=fair"},
                                        {"http.route", "/roll"},
                                        {"server.address", "127.0.0.1"},
                                        {"server.port", 8110},
                                        {"network.protocol.version", "1.1"}});
  span.Set({"http.response.status_code", 200});
  span.Set({"roll.result", 6});
}

/// Medians of the rounds, each waited for until its spans are with the collector.
void Measure(std::string_view title, const obs::trace::Config& config, obs::trace::Buffer* buffer,
             const Make& make) {
  if (!title.starts_with(only)) return;
  obs::log::Writer writer(open("/dev/null", O_WRONLY | O_CLOEXEC));
  const obs::log::Logger logger(writer, "bench", obs::log::Level::kInfo);
  obs::metrics::Registry registry;
  obs::trace::Provider provider(config, registry, logger, buffer);
  const obs::trace::Tracer tracer = provider.tracer();
  const obs::trace::Span request = tracer.Start("request", obs::trace::Kind::kServer, {});
  std::vector<double> own;
  std::vector<double> all;
  for (int round = 0; round < kRounds; ++round) {
    const double own_start = Seconds(CLOCK_THREAD_CPUTIME_ID);
    const double all_start = Seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < kSpans; ++i) make(tracer, request.context());
    own.push_back((Seconds(CLOCK_THREAD_CPUTIME_ID) - own_start) * 1e9 / kSpans);
    std::this_thread::sleep_for(std::chrono::milliseconds(30));  // the last batch of a round goes by time
    all.push_back((Seconds(CLOCK_PROCESS_CPUTIME_ID) - all_start) * 1e9 / kSpans);
  }
  const auto median = [](std::vector<double>& rounds) {
    std::nth_element(rounds.begin(), rounds.begin() + kRounds / 2, rounds.end());
    return rounds[kRounds / 2];
  };
  provider.Shutdown(std::chrono::seconds(5));
  fmt::print("{:<38} {:>6.0f} ns on its thread, {:>6.0f} ns in all; exported {:.0f}, dropped {:.0f}\n", title,
             median(own), median(all), Value(registry, "otel_sdk_exporter_span_exported_total"),
             Value(registry, "otel_sdk_processor_span_dropped_total"));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) only = argv[1];
  const obs::trace::Config none = {.service_name = "bench", .exporter = "none"};
  obs::trace::Config off = none;
  off.sampler = "always_off";
  obs::trace::Config disabled = none;
  disabled.disabled = true;
  obs::trace::Config otlp = {.service_name = "bench",
                             .schedule_delay = std::chrono::milliseconds(10),
                             .otlp_endpoint = StartCollector()};
  Measure("disabled, 5 attributes", disabled, nullptr, WithFive);
  Measure("not sampled, 5 attributes", off, nullptr, WithFive);
  Measure("sampled, no exporter, 5 attributes", none, nullptr, WithFive);
  Measure("exported, 5 attributes", otlp, nullptr, WithFive);
  Measure("exported, 10 attributes", otlp, nullptr, WithTen);
  obs::trace::Buffer buffer(std::size_t{4} << 20);
  Measure("exported and in the buffer, 5", otlp, &buffer, WithFive);
  Measure("exported and in the buffer, 10", otlp, &buffer, WithTen);
}
