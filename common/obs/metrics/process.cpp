#include <sys/resource.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <sstream>
#include <string>
#include <system_error>

#include "obs/metrics/registry.h"

namespace obs::metrics {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

// A field of /proc/self/stat by its number in proc(5). The second, the program's name, may hold blanks and
// parentheses, so counting starts after its end.
double StatField(int number) {
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return kUnknown;
  std::istringstream fields(line.substr(name_end + 1));
  std::string field;
  for (int i = 3; i < number; ++i) fields >> field;
  double value = kUnknown;
  fields >> value;
  return value;
}

double MemoryPages(int column) {
  std::ifstream file("/proc/self/statm");
  double pages = kUnknown;
  for (int i = 0; i <= column; ++i) file >> pages;
  return pages;
}

double BootTime() {
  std::ifstream file("/proc/stat");
  for (std::string word; file >> word;) {
    double seconds = kUnknown;
    if (word == "btime" && file >> seconds) return seconds;
  }
  return kUnknown;
}

double CpuSeconds() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

double OpenDescriptors() {
  std::error_code error;
  const std::filesystem::directory_iterator descriptors("/proc/self/fd", error);
  if (error) return kUnknown;
  // One of them is open only to count them.
  return static_cast<double>(std::distance(begin(descriptors), end(descriptors)) - 1);
}

double MaxDescriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return kUnknown;
  return limit.rlim_cur == RLIM_INFINITY ? std::numeric_limits<double>::infinity()
                                         : static_cast<double>(limit.rlim_cur);
}

}  // namespace

void Registry::AddProcessMetrics() {
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  const double start = BootTime() + StatField(22) / static_cast<double>(sysconf(_SC_CLK_TCK));
  AddCallbackCounter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.",
                     CpuSeconds);
  AddCallbackGauge("process_virtual_memory_bytes", "Virtual memory size in bytes.",
                   [page] { return MemoryPages(0) * page; });
  AddCallbackGauge("process_resident_memory_bytes", "Resident memory size in bytes.",
                   [page] { return MemoryPages(1) * page; });
  AddCallbackGauge("process_open_fds", "Number of open file descriptors.", OpenDescriptors);
  AddCallbackGauge("process_max_fds", "Maximum number of open file descriptors.", MaxDescriptors);
  AddCallbackGauge("process_threads", "Number of OS threads in the process.", [] { return StatField(20); });
  AddCallbackGauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.",
                   [start] { return start; });
}

}  // namespace obs::metrics
