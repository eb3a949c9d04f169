# Writes a C++ source with the content of files: cmake -D OUTPUT=… -D FOLDER=… -D NAMES="a;b" -P embed.cmake
# Indentation and lines that are comments stay behind: they are for us, and a fifth of the bytes.
set(code "#include \"assets.h\"\n\nnamespace frontend {\nnamespace {\n\n")
set(table "")
set(index 0)
foreach(name IN LISTS NAMES)
  file(READ "${FOLDER}/${name}" text)
  string(REGEX REPLACE "\n[ \n]+" "\n" text "\n${text}")
  string(REGEX REPLACE "\n//[^\n]*" "" text "${text}")
  string(STRIP "${text}" text)
  string(HEX "${text}" hex)
  string(LENGTH "${hex}" digits)
  math(EXPR size "${digits} / 2")
  string(REGEX REPLACE "(..)" "\\\\x\\1" bytes "${hex}")
  string(REGEX REPLACE "((\\\\x..)(\\\\x..)(\\\\x..)(\\\\x..)(\\\\x..)(\\\\x..)(\\\\x..)(\\\\x..))" "\\1\"\n    \"" bytes "${bytes}")
  string(APPEND code "constexpr char kFile${index}[] =\n    \"${bytes}\";\n\n")
  string(APPEND table "      {\"${name}\", {kFile${index}, ${size}}},\n")
  math(EXPR index "${index} + 1")
endforeach()
string(APPEND code "}  // namespace\n\nconst std::map<std::string_view, std::string_view>& Assets() {\n"
                   "  static const std::map<std::string_view, std::string_view> kAssets = {\n${table}  };\n"
                   "  return kAssets;\n}\n\n}  // namespace frontend\n")
file(WRITE "${OUTPUT}" "${code}")
