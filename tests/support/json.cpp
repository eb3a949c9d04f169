#include "support/json.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <fstream>
#include <sstream>

namespace support {
namespace {

const rapidjson::Value kNull;

}  // namespace

Json Json::Parse(std::string_view text) {
  auto document = std::make_shared<rapidjson::Document>();
  document->Parse(text.data(), text.size());
  Json json;
  if (!document->HasParseError()) json.value_ = document.get();
  json.document_ = std::move(document);
  return json;
}

Json Json::ParseFile(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return Parse(text.str());
}

const rapidjson::Value& Json::value() const { return value_ ? *value_ : kNull; }

bool Json::IsNull() const { return value().IsNull(); }
bool Json::IsObject() const { return value().IsObject(); }
bool Json::IsArray() const { return value().IsArray(); }
bool Json::IsNumber() const { return value().IsNumber(); }
bool Json::IsString() const { return value().IsString(); }
bool Json::Has(std::string_view name) const { return (*this)[name].value_ != nullptr; }

Json Json::operator[](std::string_view name) const {
  Json member;
  member.document_ = document_;
  if (IsObject()) {
    const auto found = value().FindMember(rapidjson::StringRef(name.data(), name.size()));
    if (found != value().MemberEnd()) member.value_ = &found->value;
  }
  return member;
}

Json Json::operator[](std::size_t index) const {
  const std::vector<Json> items = Items();
  return index < items.size() ? items[index] : Json();
}

std::vector<Json> Json::Items() const {
  std::vector<Json> items;
  const auto add = [&](const rapidjson::Value& item) {
    Json json;
    json.document_ = document_;
    json.value_ = &item;
    items.push_back(std::move(json));
  };
  if (IsArray()) {
    for (const auto& item : value().GetArray()) add(item);
  } else if (IsObject()) {
    for (const auto& member : value().GetObject()) add(member.value);
  }
  return items;
}

std::vector<std::string> Json::Names() const {
  std::vector<std::string> names;
  if (IsObject()) {
    for (const auto& member : value().GetObject()) names.emplace_back(member.name.GetString());
  }
  return names;
}

std::string Json::Text() const {
  if (IsString()) return {value().GetString(), value().GetStringLength()};
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  value().Accept(writer);
  return buffer.GetString();
}

double Json::Number() const { return IsNumber() ? value().GetDouble() : 0; }
bool Json::True() const { return value().IsTrue(); }

}  // namespace support
