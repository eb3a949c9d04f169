#include "obs/log/logger.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <memory>
#include <utility>

#include "obs/log/json.h"
#include "obs/log/writer.h"

namespace obs::log {
namespace {

/// The beginning of a line, up to where the level's name comes; valid until the thread's next call.
std::string_view Beginning() {
  // Splitting a time into its calendar costs more than all the rest of a line, and changes once a second
  // only.
  static constexpr char kFormat[] = "{\"timestamp\":\"%Y-%m-%dT%H:%M:%S.000000Z\",\"level\":\"";
  static constexpr std::size_t kMicroseconds = sizeof("{\"timestamp\":\"2026-11-21T12:34:56.") - 1;
  static constexpr std::size_t kSize =
      sizeof("{\"timestamp\":\"2026-11-21T12:34:56.000000Z\",\"level\":\"") - 1;
  thread_local std::time_t cached_second = -1;
  thread_local std::array<char, kSize + 1> text{};
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (now.tv_sec != cached_second) {
    std::tm calendar{};
    gmtime_r(&now.tv_sec, &calendar);
    std::strftime(text.data(), text.size(), kFormat, &calendar);
    cached_second = now.tv_sec;
  }
  long rest = now.tv_nsec / 1000;
  for (std::size_t i = kMicroseconds + 6; i-- > kMicroseconds; rest /= 10) {
    text[i] = static_cast<char>('0' + rest % 10);
  }
  return {text.data(), kSize};
}

/// The level's name and what follows it, up to the message.
std::string_view LevelMember(Level level) {
  static constexpr std::array<std::string_view, 4> kMembers = {R"(DEBUG","message":)", R"(INFO","message":)",
                                                               R"(WARN","message":)", R"(ERROR","message":)"};
  return kMembers[std::min(static_cast<std::size_t>(level), kMembers.size() - 1)];
}

void AppendCorrelation(std::string& out, const Correlation& correlation) {
  static constexpr char kHex[] = "0123456789abcdef";
  static constexpr std::string_view kTraceId = R"(,"trace_id":")";
  static constexpr std::string_view kSpanId = R"(","span_id":")";
  static constexpr std::string_view kTraceFlags = R"(","trace_flags":")";
  // In one piece: each call of append costs more than the copy.
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): it is written before it is read
  std::array<char, kTraceId.size() + 32 + kSpanId.size() + 16 + kTraceFlags.size() + 3> text;
  char* end = text.data();
  const auto add = [&end](const char* from, std::size_t size) { end = std::copy_n(from, size, end); };
  add(kTraceId.data(), kTraceId.size());
  add(correlation.trace_id.data(), correlation.trace_id.size());
  add(kSpanId.data(), kSpanId.size());
  add(correlation.span_id.data(), correlation.span_id.size());
  add(kTraceFlags.data(), kTraceFlags.size());
  *end++ = kHex[correlation.trace_flags >> 4];
  *end++ = kHex[correlation.trace_flags & 0xF];
  *end++ = '"';
  out.append(text.data(), text.size());
}

void AppendField(std::string& out, const Field& field) {
  AppendMemberName(out, field.key);
  std::visit([&out](auto value) { AppendJson(out, value); }, field.value);
}

std::string ServiceMember(std::string_view service) {
  std::string member;
  AppendMemberName(member, "service");
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

Logger::Logger(Writer& writer, std::string_view service, Level minimum, LineObserver observer) {
  auto core =
      std::make_shared<const Core>(Core{writer, ServiceMember(service), minimum, std::move(observer)});
  core_ = core.get();
  writer.Keep(std::move(core));
}

Logger Logger::With(const Correlation& correlation) const {
  Logger logger = *this;
  logger.correlation_ = correlation;
  return logger;
}

bool Logger::enabled(Level level) const { return core_ && level >= core_->minimum; }

void Logger::Write(Level level, std::string_view message, Fields fields) const {
  if (!enabled(level)) return;
  thread_local std::string line;
  line = Beginning();
  line += LevelMember(level);
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
