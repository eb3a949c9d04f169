#pragma once

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <set>
#include <string>
#include <string_view>

namespace frontend {

/// One trace as the page reads it, put together from what several sources know of it:
/// `{"trace_id","spans":[{"service","id","parent","name","kind","start_us","duration_us","error","message",
/// "attributes"}],"logs":[…],"unreachable":[…]}`. Times are microseconds, `start_us` since 1970.
class TraceView {
 public:
  explicit TraceView(std::string_view trace_id);

  /// `json`: OTLP's JSON for traces, as the specification has it or as Tempo writes it: `batches`, ids in
  /// base64, enumerators by name. A member `logs` holds log lines. A span that is there already is passed
  /// over. False when it is nothing of the kind.
  bool Add(std::string_view json);
  /// `json`: Loki's answer to a query for log lines, each of which is a JSON object. A line that is there
  /// already, or that is none of ours, is passed over. False when it is nothing of the kind.
  bool AddStoredLines(std::string_view json);
  /// A source that did not answer as it should, so that spans may be missing.
  void AddUnreachable(std::string_view source);

  /// The whole; call it last and once.
  std::string Finish();

 private:
  using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

  /// An array that grows on its own.
  struct List {
    List() { writer.StartArray(); }
    rapidjson::StringBuffer buffer;
    Writer writer{buffer};
  };
  void AddLine(const rapidjson::Value& line);

  const std::string trace_id_;
  std::set<std::string> span_ids_;
  std::set<std::string> lines_;
  List spans_;
  List logs_;
  List unreachable_;
};

}  // namespace frontend
