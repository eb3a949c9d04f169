#include "file_store.h"

#include <fcntl.h>
#include <rapidjson/document.h>
#include <rapidjson/error/en.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <set>
#include <stdexcept>
#include <system_error>

namespace die_service {

using obs::async::Task;

namespace {

/// Parsed, a file takes up to twenty times its size: this much fits into the 128 MiB of a small container.
constexpr std::size_t kLargestFile = std::size_t{4} << 20;

[[noreturn]] void Refuse(const std::string& path, const std::string& reason) {
  throw std::runtime_error(path + ": " + reason);
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

/// Reads at most `limit` bytes.
std::string ReadUpTo(std::size_t limit, int fd, const std::string& path) {
  std::string text(limit, '\0');
  std::size_t size = 0;
  while (size < limit) {
    const ssize_t count = read(fd, text.data() + size, limit - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) Refuse(path, "cannot be read: " + std::generic_category().message(errno));
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  text.resize(size);
  return text;
}

/// Only a regular file: a device or a pipe may have no end, and a pipe may have nobody who writes.
std::string ReadFile(const std::string& path) {
  // Opening a pipe without O_NONBLOCK would wait for its writer.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (file.get() < 0) Refuse(path, "cannot be opened: " + std::generic_category().message(errno));
  struct stat status {};
  if (fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) Refuse(path, "is no regular file");
  const auto size = static_cast<std::size_t>(status.st_size);
  const auto refuse_size = [&path](const std::string& bytes) {
    Refuse(path, "has " + bytes + " bytes; a file of dice has at most " + std::to_string(kLargestFile));
  };
  if (size > kLargestFile) refuse_size(std::to_string(size));
  // The size is only what it was: the file may grow meanwhile, and what the kernel makes up has none.
  std::string text = ReadUpTo(kLargestFile + 1, file.get(), path);
  if (text.size() > kLargestFile) refuse_size("more than " + std::to_string(kLargestFile));
  return text;
}

std::string_view View(const rapidjson::Value& text) { return {text.GetString(), text.GetStringLength()}; }

std::vector<int> ParseFaces(const rapidjson::Value& entry) {
  const auto member = entry.FindMember("faces");
  if (member == entry.MemberEnd() || !member->value.IsArray()) {
    throw std::invalid_argument("faces must be an array of 1 to 1000 integers");
  }
  std::vector<int> faces;
  for (const auto& face : member->value.GetArray()) {
    if (!face.IsInt()) throw std::invalid_argument("faces must be an array of 1 to 1000 integers");
    faces.push_back(face.GetInt());
  }
  return faces;
}

double ParseErrorRate(const rapidjson::Value& entry) {
  const auto member = entry.FindMember("error_rate");
  if (member == entry.MemberEnd() || !member->value.IsNumber()) {
    throw std::invalid_argument("error_rate must be a number from 0 to 1");
  }
  return member->value.GetDouble();
}

/// As JSON's members are texts, one face could be there twice: as "1" and as "01".
int ParseFace(std::string_view text) {
  int face = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), face);
  if (parsed.ec != std::errc() || std::to_string(face) != text) {
    throw std::invalid_argument("probabilities must name only its faces");
  }
  return face;
}

std::map<int, double> ParseProbabilities(const rapidjson::Value& probabilities) {
  if (!probabilities.IsObject())
    throw std::invalid_argument("probabilities must be an object of face to number");
  std::map<int, double> parsed;
  for (const auto& member : probabilities.GetObject()) {
    if (!member.value.IsNumber()) throw std::invalid_argument("probabilities must be numbers from 0 to 1");
    if (!parsed.emplace(ParseFace(View(member.name)), member.value.GetDouble()).second) {
      throw std::invalid_argument("probabilities has '" + std::string(View(member.name)) + "' twice");
    }
  }
  return parsed;
}

void CheckMembers(const rapidjson::Value& entry) {
  std::set<std::string_view> seen;
  for (const auto& member : entry.GetObject()) {
    const std::string_view name = View(member.name);
    if (!seen.insert(name).second) throw std::invalid_argument("it has " + std::string(name) + " twice");
    if (name != "faces" && name != "error_rate" && name != "probabilities") {
      throw std::invalid_argument("it may have faces, error_rate and probabilities, but has '" +
                                  std::string(name) + "'");
    }
  }
}

DieSpecification ParseEntry(const std::string& identifier, const rapidjson::Value& entry) {
  if (!entry.IsObject()) throw std::invalid_argument("it must be an object with faces and error_rate");
  CheckMembers(entry);
  DieSpecification specification;
  specification.identifier = identifier;
  specification.faces = ParseFaces(entry);
  specification.error_rate = ParseErrorRate(entry);
  const auto probabilities = entry.FindMember("probabilities");
  specification.probabilities = probabilities == entry.MemberEnd() ? EqualProbabilities(specification.faces)
                                                                   : ParseProbabilities(probabilities->value);
  Validate(specification);
  return specification;
}

}  // namespace

FileStore::FileStore(const std::string& path) {
  const std::string text = ReadFile(path);
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(text.c_str(), text.size());
  if (document.HasParseError()) {
    throw std::runtime_error(path + ": no valid JSON at byte " + std::to_string(document.GetErrorOffset()) +
                             ": " + rapidjson::GetParseError_En(document.GetParseError()));
  }
  if (!document.IsObject() || document.ObjectEmpty()) {
    throw std::runtime_error(path + ": must be an object with at least one die");
  }
  for (const auto& member : document.GetObject()) {
    const std::string identifier(View(member.name));
    try {
      auto specification = std::make_shared<const DieSpecification>(ParseEntry(identifier, member.value));
      if (!dice_.emplace(identifier, std::move(specification)).second) {
        throw std::invalid_argument("it is there twice");
      }
    } catch (const std::invalid_argument& broken) {
      throw std::runtime_error(path + ": die '" + identifier + "': " + broken.what());
    }
  }
}

Task<std::vector<std::string>> FileStore::List(obs::Scope& /*scope*/) {
  std::vector<std::string> identifiers;
  for (const auto& [identifier, specification] : dice_) identifiers.push_back(identifier);
  co_return identifiers;
}

Task<std::shared_ptr<const DieSpecification>> FileStore::Find(std::string identifier, obs::Scope& /*scope*/) {
  const auto found = dice_.find(identifier);
  co_return found == dice_.end() ? nullptr : found->second;
}

}  // namespace die_service
