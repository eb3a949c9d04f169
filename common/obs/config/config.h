#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace obs::config {

/// Looks up one environment variable; nothing when it is not set. Tests pass a lambda over a map.
using Environment = std::function<std::optional<std::string>(std::string_view name)>;

/// The environment of this process.
Environment ProcessEnvironment();

/// Reads typed values from the environment, remembers every fault and every variable it was asked for, so
/// that all faults are reported together and `--help` can print the whole table.
///
/// An empty value counts as not set, as the OpenTelemetry specification asks of its variables.
/// A getter whose value is at fault records the fault and returns the default. Not thread-safe.
class Parser {
 public:
  explicit Parser(Environment environment);

  std::string String(std::string_view name, std::string_view fallback, std::string_view help);
  /// A fault when the variable is not set.
  std::string Required(std::string_view name, std::string_view help);
  /// A decimal integer in [min, max].
  std::int64_t Integer(std::string_view name, std::int64_t fallback, std::int64_t min, std::int64_t max,
                       std::string_view help);
  /// A decimal number in [min, max].
  double Number(std::string_view name, double fallback, double min, double max, std::string_view help);
  /// A TCP port; 0 lets the kernel choose.
  std::uint16_t Port(std::string_view name, std::uint16_t fallback, std::string_view help);
  /// A whole number with the unit us, ms, s or m, as in "250ms"; "0" needs no unit.
  std::chrono::microseconds Duration(std::string_view name, std::chrono::microseconds fallback,
                                     std::chrono::microseconds min, std::chrono::microseconds max,
                                     std::string_view help);
  /// One of `choices`, case-sensitive.
  std::string Choice(std::string_view name, std::string_view fallback, std::vector<std::string> choices,
                     std::string_view help);
  /// `true` or `false`, in any case.
  bool Boolean(std::string_view name, bool fallback, std::string_view help);
  /// An absolute http:// or https:// URL; a trailing slash is removed. `fallback` may be empty.
  std::string Url(std::string_view name, std::string_view fallback, std::string_view help);
  /// Names a variable that a library below reads by itself, so that `--help` lists it.
  void Document(std::string_view name, std::string_view fallback, std::string_view help);
  /// Records a fault that a service found itself, as in "DIE_STORE=postgres needs PGHOST".
  void Fault(std::string_view name, std::string_view sentence);

  const std::vector<std::string>& faults() const { return faults_; }
  /// The table of all variables asked for so far: name, default, meaning.
  std::string Table() const;

 private:
  struct Variable {
    std::string name;
    std::string fallback;
    std::string help;
  };
  std::optional<std::string> Look(std::string_view name, std::string_view fallback, std::string_view help);

  Environment environment_;
  std::vector<Variable> variables_;
  std::vector<std::string> faults_;
};

struct Program {
  std::string name;         ///< also the default `service.name`
  std::string version;      ///< what `--version` prints
  std::string description;  ///< one sentence, the head of `--help`
};

/// `--help` and `--version` print and exit 0, or 1 when standard output cannot be written; any other argument
/// is named and exits 1.
void HandleArguments(int argc, char** argv, const Program& program, const std::string& table);
/// Prints every fault to stderr and exits 1; returns when there is none.
void ExitOnFaults(const Program& program, const std::vector<std::string>& faults);

/// Prints what ended the program to stderr. Returns its exit status, 1.
int ReportFailure(const Program& program, const std::exception& failure);
/// For what is no std::exception.
int ReportFailure(const Program& program);

/// A whole main(): reads the configuration from the process environment with `read`, lets the arguments or
/// faults end the process, and else returns what `run` does. An exception that leaves `read` or `run` is
/// printed and makes the exit status 1.
template <typename Config>
int Main(int argc, char** argv, const Program& program, Config (*read)(Parser&), int (*run)(const Config&)) {
  try {
    Parser parser{ProcessEnvironment()};
    const Config config = read(parser);
    HandleArguments(argc, argv, program, parser.Table());
    ExitOnFaults(program, parser.faults());
    return run(config);
  } catch (const std::exception& failure) {
    return ReportFailure(program, failure);
  } catch (...) {
    return ReportFailure(program);
  }
}

}  // namespace obs::config
