#include "obs/postgres/notices.h"

#include <exception>
#include <string_view>

namespace obs::postgres {
namespace {

/// A function of the database can raise any number of notices in one statement.
constexpr std::size_t kMostLines = 10;

std::string_view FieldOf(const PGresult* notice, int code) {
  const char* value = PQresultErrorField(notice, code);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

log::Level LevelOf(std::string_view severity) {
  if (severity == "DEBUG") return log::Level::kDebug;
  if (severity == "NOTICE" || severity == "INFO" || severity == "LOG") return log::Level::kInfo;
  return log::Level::kWarn;
}

}  // namespace

std::string OneLine(std::string_view message) {
  constexpr std::size_t kLongest = 500;
  std::string line;
  for (const char c : message.substr(0, kLongest)) {
    const bool blank = c == '\n' || c == '\t' || c == ' ';
    if (!blank) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  if (line.ends_with(' ')) line.pop_back();
  return line;
}

Notices::Notices(const Config& config, const log::Logger& logger)
    : host_(config.host), database_(config.database), logger_(logger) {}

void Notices::Begin(bool has_parameters) {
  has_parameters_ = has_parameters;
  lines_ = 0;
}

void Notices::Receive(void* self, const PGresult* notice) noexcept {
  auto& notices = *static_cast<Notices*>(self);
  if (++notices.lines_ > kMostLines) return;
  try {
    notices.Write(notice);
  } catch (const std::exception&) {
    // No memory for a line: libpq, which calls this, knows no exceptions.
  }
}

void Notices::Write(const PGresult* notice) const {
  std::string_view severity = FieldOf(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
  if (severity.empty()) severity = FieldOf(notice, PG_DIAG_SEVERITY);
  std::string words = "its words are left out, because they can quote a parameter";
  if (!has_parameters_) {
    words = FieldOf(notice, PG_DIAG_MESSAGE_PRIMARY);
    for (const char code : {PG_DIAG_MESSAGE_DETAIL, PG_DIAG_MESSAGE_HINT}) {
      if (const auto more = FieldOf(notice, static_cast<unsigned char>(code)); !more.empty())
        words.append(" ").append(more);
    }
    words = OneLine(words);
  }
  logger_.Write(LevelOf(severity), "Database notice",
                {{"severity", severity},
                 {"sqlstate", FieldOf(notice, PG_DIAG_SQLSTATE)},
                 {"notice", words},
                 {"host", host_},
                 {"database", database_}});
}

}  // namespace obs::postgres
