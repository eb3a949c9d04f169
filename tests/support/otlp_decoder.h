#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace support {

/// One exported span, ids in lower-case hex, attribute values as text ("true", "4", "GET").
struct Span {
  std::string service;  ///< service.name of its resource
  std::map<std::string, std::string> resource;
  std::string trace_id;
  std::string span_id;
  std::string parent_span_id;
  std::string trace_state;
  std::string name;
  std::string kind;    ///< internal, server, client, producer or consumer
  std::string status;  ///< unset, ok or error
  std::string status_message;
  std::uint64_t start = 0;  ///< nanoseconds since 1970
  std::uint64_t end = 0;
  std::map<std::string, std::string> attributes;

  std::string Attribute(const std::string& key) const {
    const auto found = attributes.find(key);
    return found == attributes.end() ? std::string() : found->second;
  }
};

/// Decodes an ExportTraceServiceRequest (opentelemetry-proto 1.x, protobuf wire format). A reader of its own,
/// so that the bytes are held against the specification and not against the code that wrote them. Throws
/// std::runtime_error when they are malformed.
std::vector<Span> DecodeTraces(std::string_view bytes);

}  // namespace support
