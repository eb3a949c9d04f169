#include "support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <system_error>
#include <utility>

namespace support {
namespace {

std::pair<Fd, Fd> Pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
  return {Fd(ends[0]), Fd(ends[1])};
}

std::vector<std::string> EnvironmentStrings(Environment environment) {
  for (const char* name : {"PATH", "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) {
    if (const char* value = getenv(name)) environment.emplace(name, value);
  }
  std::vector<std::string> strings;
  for (const auto& [name, value] : environment) strings.push_back(name + "=" + value);
  return strings;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

/// Runs between fork and exec: only async-signal-safe calls.
[[noreturn]] void BecomeChild(char* const* arguments, char* const* environment, int out, int err,
                              int failed) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  const int input = open("/dev/null", O_RDONLY);
  dup2(input, STDIN_FILENO);
  execvpe(arguments[0], arguments, environment);
  const int error = errno;
  [[maybe_unused]] const ssize_t told = write(failed, &error, sizeof error);
  _exit(127);
}

}  // namespace

Process::Process(const std::vector<std::string>& command, const Environment& environment)
    : wake_(eventfd(0, EFD_CLOEXEC)) {
  auto [out, child_out] = Pipe();
  auto [err, child_err] = Pipe();
  auto [failure, child_failure] = Pipe();
  const std::vector<std::string> variables = EnvironmentStrings(environment);
  const std::vector<char*> argument_pointers = Pointers(command);
  const std::vector<char*> variable_pointers = Pointers(variables);
  pid_ = fork();
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid_ == 0) {
    BecomeChild(argument_pointers.data(), variable_pointers.data(), child_out.get(), child_err.get(),
                child_failure.get());
  }
  child_out.Close();
  child_err.Close();
  child_failure.Close();
  int error = 0;
  if (read(failure.get(), &error, sizeof error) == sizeof error) {
    waitpid(pid_, nullptr, 0);
    throw std::system_error(error, std::generic_category(), "cannot run " + command[0]);
  }
  stdout_ = std::move(out);
  stderr_ = std::move(err);
  reader_ = std::thread([this] { Read(); });
}

Process::~Process() {
  if (running()) {
    Signal(SIGKILL);
    Wait();
  }
  SetOutput(Output::kEnd);
  reader_.join();
}

void Process::Signal(int signal) const {
  if (!status_) kill(pid_, signal);
}

std::optional<int> Process::Wait(std::chrono::milliseconds limit) {
  if (status_) return status_;
  int raw = 0;
  if (!Eventually([&] { return waitpid(pid_, &raw, WNOHANG) == pid_; }, limit)) return std::nullopt;
  status_ = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
  // What it wrote last is in the pipes still.
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kPatience,
                    [this] { return (!stdout_.valid() || output_ != Output::kRead) && !stderr_.valid(); });
  // What a sanitizer reports would be lost with the child.
  if (errors_.find("Sanitizer") != std::string::npos) std::cerr << errors_;
  return status_;
}

std::vector<std::string> Process::Lines() const {
  std::lock_guard lock(mutex_);
  return lines_;
}

std::string Process::Errors() const {
  std::lock_guard lock(mutex_);
  return errors_;
}

std::vector<Json> Process::Logs() const {
  std::vector<Json> logs;
  for (const std::string& line : Lines()) logs.push_back(Json::Parse(line));
  return logs;
}

Json Process::WaitForLog(const std::function<bool(const Json&)>& wanted,
                         std::chrono::milliseconds limit) const {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  std::unique_lock lock(mutex_);
  std::size_t seen = 0;
  do {
    for (; seen < lines_.size(); ++seen) {
      const Json line = Json::Parse(lines_[seen]);
      if (wanted(line)) return line;
    }
  } while (changed_.wait_until(lock, deadline, [&] { return seen < lines_.size(); }));
  return Json();
}

Json Process::WaitForLog(const std::string& message, std::chrono::milliseconds limit) const {
  return WaitForLog([&](const Json& line) { return line["message"].Text() == message; }, limit);
}

void Process::StopReading() { SetOutput(Output::kIgnore); }

void Process::CloseOutput() {
  SetOutput(Output::kClose);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !stdout_.valid(); });
}

std::size_t Process::resident_bytes() const {
  std::size_t size = 0;
  std::size_t resident = 0;
  std::ifstream("/proc/" + std::to_string(pid_) + "/statm") >> size >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

void Process::SetOutput(Output output) {
  {
    std::lock_guard lock(mutex_);
    output_ = output;
  }
  eventfd_write(wake_.get(), 1);
}

void Process::Append(std::string_view bytes) {
  partial_ += bytes;
  std::size_t start = 0;
  for (std::size_t end; (end = partial_.find('\n', start)) != partial_.npos; start = end + 1) {
    lines_.push_back(partial_.substr(start, end - start));
  }
  partial_.erase(0, start);
}

void Process::Read() {
  std::array<char, 65536> bytes{};
  while (stdout_.valid() || stderr_.valid()) {
    std::array<pollfd, 3> waiting = {
        {{stdout_.get(), POLLIN, 0}, {stderr_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}}};
    {
      std::lock_guard lock(mutex_);
      if (output_ == Output::kEnd) return;
      if (output_ == Output::kClose) stdout_.Close();
      if (output_ != Output::kRead) waiting[0].fd = -1;
      changed_.notify_all();
    }
    poll(waiting.data(), waiting.size(), -1);
    if (waiting[2].revents) {
      eventfd_t ignored;
      eventfd_read(wake_.get(), &ignored);
    }
    for (const int which : {0, 1}) {
      if (!waiting[static_cast<std::size_t>(which)].revents) continue;
      Fd& source = which == 0 ? stdout_ : stderr_;
      const ssize_t count = read(source.get(), bytes.data(), bytes.size());
      std::lock_guard lock(mutex_);
      if (count <= 0) {
        source.Close();
      } else if (which == 0) {
        Append({bytes.data(), static_cast<std::size_t>(count)});
      } else {
        errors_.append(bytes.data(), static_cast<std::size_t>(count));
      }
      changed_.notify_all();
    }
  }
}

}  // namespace support
