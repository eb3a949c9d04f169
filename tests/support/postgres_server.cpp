#include "support/postgres_server.h"

#include <glob.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "support/paths.h"

namespace support {
namespace {

namespace fs = std::filesystem;

/// Whether a process runs no more, be it only for now.
bool IsStopped(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string stat;
  if (!std::getline(file, stat)) return true;
  const char state = stat.at(stat.rfind(')') + 2);
  return state == 'T' || state == 'Z';
}

/// The folder of the newest PostgreSQL that is installed.
std::string Programs() {
  glob_t found{};
  glob("/usr/lib/postgresql/*/bin/postgres", 0, nullptr, &found);
  const std::string newest = found.gl_pathc == 0 ? "" : found.gl_pathv[found.gl_pathc - 1];
  globfree(&found);
  if (newest.empty())
    throw std::runtime_error("no PostgreSQL below /usr/lib/postgresql: ci/install postgres");
  return fs::path(newest).parent_path();
}

/// PostgreSQL refuses to run as root. setpriv becomes the program, so that its pid is the one we know, and
/// arms the parent's death signal again, which a change of user disarms.
std::vector<std::string> AsPostgres(std::vector<std::string> command) {
  if (geteuid() != 0) return command;
  std::vector<std::string> whole = {"setpriv",       "--reuid=postgres", "--regid=postgres",
                                    "--init-groups", "--pdeathsig=QUIT", "--"};
  whole.insert(whole.end(), command.begin(), command.end());
  return whole;
}

std::string Demand(const std::vector<std::string>& command, const Environment& environment) {
  const Finished finished = RunToEnd(command, environment);
  if (finished.status != 0) throw std::runtime_error(command[0] + " failed: " + finished.output);
  return finished.output;
}

std::string TemporaryFolder() {
  std::string folder = "/tmp/dicebox-postgres-XXXXXX";
  if (!mkdtemp(folder.data())) throw std::runtime_error("mkdtemp failed");
  if (geteuid() == 0) Demand({"chown", "postgres:postgres", folder}, {});
  return folder;
}

/// initdb takes a second, a copy of what it made a few milliseconds. Tests that run side by side may both
/// make it: the rename of one wins, and either will do.
std::string Template() {
  const fs::path programs = Programs();
  const fs::path made = BuildPath("postgres-" + programs.parent_path().filename().string() + "-template");
  if (fs::exists(made)) return made;
  const std::string folder = TemporaryFolder();
  Demand(AsPostgres({programs / "initdb", "--pgdata=" + folder + "/data", "--username=postgres", "--no-sync",
                     "--encoding=UTF8", "--locale=C.UTF-8", "--wal-segsize=1", "--auth-local=trust",
                     "--auth-host=scram-sha-256"}),
         {});
  const std::string ours = made.string() + "." + std::to_string(getpid());
  Demand({"cp", "--archive", folder + "/data", ours}, {});
  RunToEnd({"mv", "--no-target-directory", ours, made}, {});
  fs::remove_all(ours);
  fs::remove_all(folder);
  return made;
}

}  // namespace

Finished RunToEnd(const std::vector<std::string>& command, const Environment& environment) {
  std::vector<std::string> merged = {"sh", "-c", "exec \"$0\" \"$@\" 2>&1"};
  merged.insert(merged.end(), command.begin(), command.end());
  Process process(merged, environment);
  const std::optional<int> status = process.Wait(60s);
  Finished finished{status.value_or(124), {}};
  for (const std::string& line : process.Lines()) finished.output += line + '\n';
  return finished;
}

PostgresServer::PostgresServer() : folder_(TemporaryFolder()) {
  Demand({"cp", "--archive", Template(), folder_ + "/data"}, {});
  Start();
  Environment environment = Superuser();
  environment.merge(Passwords());
  Demand({SourcePath("migrations/roles")}, environment);
}

PostgresServer::~PostgresServer() {
  try {
    Stop(StopMode::kImmediate);
  } catch (const std::exception&) {
    // Process kills it.
  }
  process_.reset();
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void PostgresServer::Start() {
  process_ = std::make_unique<Process>(
      AsPostgres({Programs() + "/postgres", "-D", folder_ + "/data", "-p", std::to_string(port_.port()), "-k",
                  folder_, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "shared_buffers=16MB",
                  "-c", "max_connections=50"}),
      Environment{});
  if (!Eventually([this] { return AcceptsConnections() || !process_->running(); }) || !process_->running()) {
    throw std::runtime_error("PostgreSQL did not start: " + process_->Errors());
  }
}

void PostgresServer::Stop(StopMode mode) {
  if (!process_) return;
  Thaw();
  process_->Signal(mode == StopMode::kFast ? SIGINT : SIGQUIT);
  if (!process_->Wait()) throw std::runtime_error("PostgreSQL did not stop: " + process_->Errors());
}

void PostgresServer::Freeze() {
  frozen_ = true;
  // A signal takes effect a little later, and until the one that forks stands still there can be more.
  const auto stop = [](pid_t pid) {
    kill(pid, SIGSTOP);
    return IsStopped(pid);
  };
  const bool stopped = Eventually([&] {
    bool all = stop(process_->pid());
    for (const pid_t pid : Processes()) all = stop(pid) && all;
    return all;
  });
  if (!stopped) throw std::runtime_error("PostgreSQL cannot be frozen");
}

void PostgresServer::Thaw() {
  if (!std::exchange(frozen_, false)) return;
  for (const pid_t pid : Processes()) kill(pid, SIGCONT);
  process_->Signal(SIGCONT);
}

void PostgresServer::Migrate() { Demand({SourcePath("migrations/apply")}, Owner()); }

std::string PostgresServer::Psql(const std::string& sql) const {
  Environment environment = Superuser();
  // Warnings would stand among the answer's lines, as of a session that has just ended by itself.
  environment["PGOPTIONS"] = "-c client_min_messages=error";
  std::string output = Demand({"psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set",
                               "ON_ERROR_STOP=1", "--dbname", "dicedb", "--command", sql},
                              environment);
  if (!output.empty()) output.pop_back();
  return output;
}

int PostgresServer::TerminateSessions(const std::string& user) const {
  return std::stoi(
      Psql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '" + user + "'"));
}

Environment PostgresServer::Superuser() const {
  return {{"PGHOST", folder_},
          {"PGPORT", std::to_string(port())},
          {"PGDATABASE", "postgres"},
          {"PGUSER", "postgres"}};
}

Environment PostgresServer::Passwords() {
  return {{"DICEOWNER_PASSWORD", Password("diceowner")},
          {"DICEUSER_PASSWORD", Password("diceuser")},
          {"EXPORTER_PASSWORD", Password("exporter")}};
}

Environment PostgresServer::Login(const std::string& user) const {
  return {{"PGHOST", "127.0.0.1"},
          {"PGPORT", std::to_string(port())},
          {"PGDATABASE", "dicedb"},
          {"PGUSER", user},
          {"PGPASSWORD", Password(user)}};
}

std::vector<pid_t> PostgresServer::Processes() const {
  const std::string pid = std::to_string(process_->pid());
  std::ifstream children("/proc/" + pid + "/task/" + pid + "/children");
  std::vector<pid_t> pids;
  for (pid_t child; children >> child;) pids.push_back(child);
  return pids;
}

bool PostgresServer::AcceptsConnections() const {
  // The last line of the file that the server keeps about itself.
  std::ifstream file(folder_ + "/data/postmaster.pid");
  std::string status;
  for (std::string line; std::getline(file, line);) status = line;
  return status.starts_with("ready");
}

}  // namespace support
