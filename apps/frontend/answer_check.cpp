#include "answer_check.h"

#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <optional>

namespace frontend {
namespace {

/// Hears a document of JSON, and keeps one text of its outermost object.
class Listener : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, Listener> {
 public:
  explicit Listener(std::string_view member) : member_(member) {}

  bool Default() {
    wanted_ = false;
    return depth_ > 0;
  }
  bool String(const char* text, rapidjson::SizeType size, bool /*copy*/) {
    if (wanted_) found_.emplace(text, size);
    return Default();
  }
  bool Key(const char* text, rapidjson::SizeType size, bool /*copy*/) {
    wanted_ = depth_ == 1 && std::string_view(text, size) == member_;
    return true;
  }
  bool StartObject() { return Enter(); }
  bool EndObject(rapidjson::SizeType /*members*/) { return Leave(); }
  bool StartArray() { return depth_ > 0 && Enter(); }
  bool EndArray(rapidjson::SizeType /*elements*/) { return Leave(); }

  const std::optional<std::string>& found() const { return found_; }

 private:
  bool Enter() {
    wanted_ = false;
    ++depth_;
    return true;
  }
  bool Leave() {
    --depth_;
    return true;
  }

  const std::string_view member_;
  int depth_ = 0;
  bool wanted_ = false;
  std::optional<std::string> found_;
};

/// The media type of a Content-Type header, without its parameters.
std::string_view MediaType(std::string_view content_type) {
  const std::string_view type = content_type.substr(0, content_type.find(';'));
  return type.substr(0, type.find_last_not_of(" \t") + 1);
}

}  // namespace

std::string FaultOf(const obs::http::ClientResponse& answer, const Expectation& expected) {
  const int kind = answer.status / 100;
  if (kind != 2 && kind != 4 && kind != 5) return "status " + std::to_string(answer.status);
  const std::string_view type = MediaType(answer.content_type);
  if (type != "application/json" && type != "application/problem+json") return "it is not said to be JSON";
  if (!answer.content_encoding.empty() && answer.content_encoding != "identity") return "it is compressed";
  Listener listener(expected.name);
  rapidjson::MemoryStream stream(answer.body.data(), answer.body.size());
  rapidjson::Reader reader;
  const auto parsed =
      reader.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(stream, listener);
  if (parsed.IsError()) return "it is no JSON object";
  if (answer.status == 200 && !expected.name.empty() && listener.found() != expected.value) {
    return "its '" + expected.name + "' is not what was asked for";
  }
  return {};
}

}  // namespace frontend
