#include "obs/trace/sdk_log.h"

#include <opentelemetry/sdk/common/global_log_handler.h>

#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "obs/trace/throttle.h"

namespace obs::trace {
namespace {

namespace internal_log = opentelemetry::sdk::common::internal_log;
using internal_log::LogLevel;

log::Level ToLevel(LogLevel level) {
  switch (level) {
    case LogLevel::Debug:
      return log::Level::kDebug;
    case LogLevel::Info:
      return log::Level::kInfo;
    case LogLevel::Error:
      return log::Level::kError;
    default:
      return log::Level::kWarn;
  }
}

LogLevel FromLevel(log::Level level) {
  switch (level) {
    case log::Level::kDebug:
      return LogLevel::Debug;
    case log::Level::kInfo:
      return LogLevel::Info;
    case log::Level::kError:
      return LogLevel::Error;
    case log::Level::kWarn:
      break;
  }
  return LogLevel::Warning;
}

/// The SDK knows one handler in the process and reads it without a lock, so ours is installed once, for good,
/// and only what it writes to comes and goes.
class Handler final : public internal_log::LogHandler {
 public:
  void Connect(const log::Logger& logger) {
    const std::lock_guard lock(mutex_);
    logger_ = logger;
    throttles_.clear();
  }

  void Disconnect() {
    const std::lock_guard lock(mutex_);
    logger_.reset();
  }

  void Handle(LogLevel level, const char* file, int line, const char* message,
              const opentelemetry::sdk::common::AttributeMap&) noexcept override {
    const std::lock_guard lock(mutex_);
    if (!logger_ || message == nullptr) {
      return;
    }
    if (const auto left_out = throttles_[{file, line}].Pass()) {
      logger_->Write(ToLevel(level), "OpenTelemetry SDK", {{"detail", message}, {"left_out", *left_out}});
    }
  }

 private:
  std::mutex mutex_;
  std::optional<log::Logger> logger_;
  std::map<std::pair<const char*, int>, Throttle> throttles_;  ///< by place in the SDK's source, so bounded
};

Handler& InstalledHandler() {
  static Handler* const kHandler = [] {
    auto* handler = new Handler;
    internal_log::GlobalLogHandler::SetLogHandler(
        opentelemetry::nostd::shared_ptr<internal_log::LogHandler>(handler));
    return handler;
  }();
  return *kHandler;
}

}  // namespace

SdkLog::SdkLog(const log::Logger& logger, log::Level minimum) {
  InstalledHandler().Connect(logger);
  // Threads of an earlier provider that still wait for their collector may be reading the level.
  if (internal_log::GlobalLogHandler::GetLogLevel() != FromLevel(minimum)) {
    internal_log::GlobalLogHandler::SetLogLevel(FromLevel(minimum));
  }
}

SdkLog::~SdkLog() { InstalledHandler().Disconnect(); }

}  // namespace obs::trace
