#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace obs::log {

/// Appends `text` as a JSON string with its quotes (RFC 8259): at most 4096 bytes of it, cut between
/// characters, every byte that is not UTF-8 replaced by U+FFFD. What could command a terminal or turn a line
/// around is escaped too: all control characters, separators of lines, controls of the direction of writing.
void AppendJson(std::string& out, std::string_view text);
/// The shortest number that reads back as the same value; `null` when JSON has no number for it.
void AppendJson(std::string& out, double value);
void AppendJson(std::string& out, std::int64_t value);
void AppendJson(std::string& out, std::uint64_t value);
void AppendJson(std::string& out, bool value);
/// Appends `,"name":`, with the name escaped as any string.
void AppendMemberName(std::string& out, std::string_view name);

}  // namespace obs::log
