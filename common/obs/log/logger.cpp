#include "obs/log/logger.h"

#include <array>
#include <ctime>
#include <utility>

#include "obs/log/json.h"
#include "obs/log/writer.h"

namespace obs::log {
namespace {

// Splitting a time into its calendar costs more than all the rest of a line, and changes once a second only.
void AppendTimestamp(std::string& out) {
  thread_local std::time_t cached_second = -1;
  thread_local std::array<char, sizeof("2026-11-21T12:34:56.123456Z")> text{};
  constexpr std::size_t kMicroseconds = sizeof("2026-11-21T12:34:56.") - 1;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (now.tv_sec != cached_second) {
    std::tm calendar{};
    gmtime_r(&now.tv_sec, &calendar);
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S.000000Z", &calendar);
    cached_second = now.tv_sec;
  }
  long rest = now.tv_nsec / 1000;
  for (std::size_t i = kMicroseconds + 6; i-- > kMicroseconds; rest /= 10) {
    text[i] = static_cast<char>('0' + rest % 10);
  }
  out.append(text.data(), text.size() - 1);
}

void AppendCorrelation(std::string& out, const Correlation& correlation) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += R"(,"trace_id":")";
  out += correlation.trace_id_view();
  out += R"(","span_id":")";
  out += correlation.span_id_view();
  out += R"(","trace_flags":")";
  out += kHex[correlation.trace_flags >> 4];
  out += kHex[correlation.trace_flags & 0xF];
  out += '"';
}

void AppendField(std::string& out, const Field& field) {
  out += ',';
  AppendJson(out, field.key);
  out += ':';
  std::visit([&out](auto value) { AppendJson(out, value); }, field.value);
}

std::string ServiceMember(std::string_view service) {
  std::string member = R"(,"service":)";
  AppendJson(member, service);
  return member;
}

}  // namespace

struct Logger::Core {
  Writer& writer;
  std::string service_member;
  Level minimum;
  LineObserver observer;  ///< empty without one
};

std::string_view Name(Level level) {
  switch (level) {
    case Level::kDebug:
      return "DEBUG";
    case Level::kInfo:
      return "INFO";
    case Level::kWarn:
      return "WARN";
    case Level::kError:
      return "ERROR";
  }
  return "ERROR";
}

Logger::Logger(Writer& writer, std::string_view service, Level minimum, LineObserver observer)
    : core_(
          std::make_shared<const Core>(Core{writer, ServiceMember(service), minimum, std::move(observer)})) {}

Logger Logger::With(const Correlation& correlation) const {
  Logger logger = *this;
  logger.correlation_ = correlation;
  return logger;
}

bool Logger::enabled(Level level) const { return core_ && level >= core_->minimum; }

void Logger::Write(Level level, std::string_view message, Fields fields) const {
  if (!enabled(level)) return;
  thread_local std::string line;
  line = R"({"timestamp":")";
  AppendTimestamp(line);
  line += R"(","level":")";
  line += Name(level);
  line += R"(","message":)";
  AppendJson(line, message);
  line += core_->service_member;
  if (correlation_.valid()) AppendCorrelation(line, correlation_);
  for (const Field& field : fields) AppendField(line, field);
  line += "}\n";
  core_->writer.Write(line);
  if (core_->observer && correlation_.valid()) {
    core_->observer(correlation_, std::string_view(line).substr(0, line.size() - 1));
  }
}

}  // namespace obs::log
