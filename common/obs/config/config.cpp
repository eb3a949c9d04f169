#include "obs/config/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <system_error>

#include "obs/text/authority.h"

namespace obs::config {
namespace {

template <typename Number>
std::optional<Number> ParseNumber(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::chrono::microseconds> ParseDuration(std::string_view text) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc()) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  constexpr std::int64_t kLargest = 1'000'000'000;
  if (count < 0 || count > kLargest) return std::nullopt;
  if (unit == "us") return std::chrono::microseconds(count);
  if (unit == "ms") return std::chrono::milliseconds(count);
  if (unit == "s") return std::chrono::seconds(count);
  if (unit == "m") return std::chrono::minutes(count);
  if (unit.empty() && count == 0) return std::chrono::microseconds(0);
  return std::nullopt;
}

std::string Format(std::chrono::microseconds duration) {
  const auto count = duration.count();
  if (count == 0) return "0";
  if (count % 60'000'000 == 0) return fmt::format("{}m", count / 60'000'000);
  if (count % 1'000'000 == 0) return fmt::format("{}s", count / 1'000'000);
  if (count % 1'000 == 0) return fmt::format("{}ms", count / 1'000);
  return fmt::format("{}us", count);
}

std::string ToLower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// fmt::print throws when a disk is full or a descriptor closed, and nobody is left to tell.
bool Print(std::FILE* stream, std::string_view text) {
  return std::fwrite(text.data(), 1, text.size(), stream) == text.size() && std::fflush(stream) == 0;
}

void Complain(std::string_view text) { Print(stderr, text); }

/// An answer that cannot be written is a failure: a script that keeps it in a file shall not take half of it
/// for all.
[[noreturn]] void AnswerAndExit(const Program& program, std::string_view text) {
  if (Print(stdout, text)) std::exit(0);
  const std::string reason = std::generic_category().message(errno);
  Complain(fmt::format("{}: standard output cannot be written: {}\n", program.name, reason));
  std::exit(1);
}

}  // namespace

Environment ProcessEnvironment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string(name).c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

Parser::Parser(Environment environment) : environment_(std::move(environment)) {}

std::optional<std::string> Parser::Look(std::string_view name, std::string_view fallback,
                                        std::string_view help) {
  const bool listed = std::any_of(variables_.begin(), variables_.end(),
                                  [name](const Variable& variable) { return variable.name == name; });
  if (!listed) variables_.push_back({std::string(name), std::string(fallback), std::string(help)});
  auto value = environment_(name);
  if (value && value->empty()) return std::nullopt;
  return value;
}

std::string Parser::String(std::string_view name, std::string_view fallback, std::string_view help) {
  return Look(name, fallback, help).value_or(std::string(fallback));
}

std::string Parser::Required(std::string_view name, std::string_view help) {
  auto value = Look(name, "(required)", help);
  if (!value) Fault(name, "must be set");
  return value.value_or("");
}

std::int64_t Parser::Integer(std::string_view name, std::int64_t fallback, std::int64_t min, std::int64_t max,
                             std::string_view help) {
  const auto text = Look(name, std::to_string(fallback), help);
  if (!text) return fallback;
  const auto value = ParseNumber<std::int64_t>(*text);
  if (value && *value >= min && *value <= max) return *value;
  Fault(name, fmt::format("must be an integer from {} to {}, but is '{}'", min, max, *text));
  return fallback;
}

double Parser::Number(std::string_view name, double fallback, double min, double max, std::string_view help) {
  const auto text = Look(name, fmt::format("{}", fallback), help);
  if (!text) return fallback;
  const auto value = ParseNumber<double>(*text);
  if (value && *value >= min && *value <= max) return *value;
  Fault(name, fmt::format("must be a number from {} to {}, but is '{}'", min, max, *text));
  return fallback;
}

std::uint16_t Parser::Port(std::string_view name, std::uint16_t fallback, std::string_view help) {
  return static_cast<std::uint16_t>(Integer(name, fallback, 0, 65535, help));
}

std::chrono::microseconds Parser::Duration(std::string_view name, std::chrono::microseconds fallback,
                                           std::chrono::microseconds min, std::chrono::microseconds max,
                                           std::string_view help) {
  const auto text = Look(name, Format(fallback), help);
  if (!text) return fallback;
  const auto value = ParseDuration(*text);
  if (value && *value >= min && *value <= max) return *value;
  Fault(name, fmt::format("must be a duration from {} to {} with a unit (us, ms, s, m), but is '{}'",
                          Format(min), Format(max), *text));
  return fallback;
}

std::string Parser::Choice(std::string_view name, std::string_view fallback, std::vector<std::string> choices,
                           std::string_view help) {
  const auto text = Look(name, fallback, help);
  if (!text) return std::string(fallback);
  if (std::find(choices.begin(), choices.end(), *text) != choices.end()) return *text;
  Fault(name, fmt::format("must be one of {}, but is '{}'", fmt::join(choices, ", "), *text));
  return std::string(fallback);
}

bool Parser::Boolean(std::string_view name, bool fallback, std::string_view help) {
  const auto text = Look(name, fallback ? "true" : "false", help);
  if (!text) return fallback;
  const std::string lower = ToLower(*text);
  if (lower == "true" || lower == "false") return lower == "true";
  Fault(name, fmt::format("must be true or false, but is '{}'", *text));
  return fallback;
}

std::string Parser::Url(std::string_view name, std::string_view fallback, std::string_view help) {
  const auto set = Look(name, fallback, help);
  if (!set) return std::string(fallback);
  std::string text = *set;
  const std::string_view view(text);
  const bool absolute = view.starts_with("http://") || view.starts_with("https://");
  const std::string_view rest = view.substr(absolute ? view.find("//") + 2 : view.size());
  const std::string_view authority = rest.substr(0, rest.find('/'));
  if (authority.find('@') != std::string_view::npos) {  // and nobody shall read them here
    Fault(name, "must be a URL without a user's name and password");
    return std::string(fallback);
  }
  if (!text::ParseAuthority(authority) || view.find_first_of(" ?#") != std::string::npos) {
    Fault(name, fmt::format("must be a URL such as http://host:port, but is '{}'", text));
    return std::string(fallback);
  }
  while (text.ends_with('/')) text.pop_back();
  return text;
}

void Parser::Document(std::string_view name, std::string_view fallback, std::string_view help) {
  variables_.push_back({std::string(name), std::string(fallback), std::string(help)});
}

void Parser::Fault(std::string_view name, std::string_view sentence) {
  faults_.push_back(fmt::format("{} {}", name, sentence));
}

std::string Parser::Table() const {
  std::size_t name_width = 0;
  std::size_t fallback_width = 0;
  for (const auto& variable : variables_) {
    name_width = std::max(name_width, variable.name.size());
    fallback_width = std::max(fallback_width, variable.fallback.size());
  }
  fmt::memory_buffer out;
  for (const auto& variable : variables_) {
    fmt::format_to(std::back_inserter(out), "  {:<{}}  {:<{}}  {}\n", variable.name, name_width,
                   variable.fallback, fallback_width, variable.help);
  }
  return fmt::to_string(out);
}

void HandleArguments(int argc, char** argv, const Program& program, const std::string& table) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--help" || argument == "-h") {
      AnswerAndExit(program, fmt::format("{}: {}\n\nUsage: {} [--help | --version]\n\n"
                                         "Configuration is the environment:\n\n{}",
                                         program.name, program.description, program.name, table));
    }
    if (argument == "--version") {
      AnswerAndExit(program, fmt::format("{} {}\n", program.name, program.version));
    }
    Complain(fmt::format("{}: unknown argument '{}'; configuration is the environment, see {} --help\n",
                         program.name, argument, program.name));
    std::exit(1);
  }
}

void ExitOnFaults(const Program& program, const std::vector<std::string>& faults) {
  if (faults.empty()) return;
  for (const auto& fault : faults) Complain(fmt::format("{}: {}\n", program.name, fault));
  Complain(fmt::format("{}: not started; see {} --help for every variable\n", program.name, program.name));
  std::exit(1);
}

int ReportFailure(const Program& program, const std::exception& failure) {
  Complain(fmt::format("{}: {}\n", program.name, failure.what()));
  return 1;
}

int ReportFailure(const Program& program) {
  Complain(fmt::format("{}: failed for a reason that it does not say\n", program.name));
  return 1;
}

}  // namespace obs::config
