#pragma once

#include <rapidjson/document.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace support {

/// A read-only JSON value that is cheap to copy and never throws: what is not there is null.
class Json {
 public:
  Json() = default;
  /// Null when `text` is not one JSON value.
  static Json Parse(std::string_view text);
  static Json ParseFile(const std::string& path);

  bool IsNull() const;
  bool IsObject() const;
  bool IsArray() const;
  bool IsNumber() const;
  bool IsString() const;
  bool Has(std::string_view name) const;
  Json operator[](std::string_view name) const;
  Json operator[](std::size_t index) const;
  /// Of an array, its elements; of an object, its values.
  std::vector<Json> Items() const;
  /// Of an object.
  std::vector<std::string> Names() const;
  std::size_t size() const { return Items().size(); }

  /// The string, or the JSON text of anything else.
  std::string Text() const;
  double Number() const;
  bool True() const;

 private:
  const rapidjson::Value& value() const;

  std::shared_ptr<const rapidjson::Document> document_;
  const rapidjson::Value* value_ = nullptr;
};

inline std::ostream& operator<<(std::ostream& out, const Json& json) { return out << json.Text(); }

}  // namespace support
