# Writes a C++ source with the content of files, scripts and styles minified:
# cmake -D ESBUILD=… -D OUTPUT=… -D FOLDER=… -D NAMES="a;b" -P embed.cmake
set(code "#include \"assets.h\"\n\nnamespace frontend {\nnamespace {\n\n")
set(table "")
set(index 0)
foreach(name IN LISTS NAMES)
  file(READ "${FOLDER}/${name}" hex HEX)
  if(name MATCHES "[.](js|css)$")
    execute_process(COMMAND ${ESBUILD} --minify --charset=utf8 --log-level=warning "${FOLDER}/${name}"
                    OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
    string(HEX "${text}" hex)
  endif()
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
