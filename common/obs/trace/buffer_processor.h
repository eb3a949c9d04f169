#pragma once

#include <opentelemetry/sdk/resource/resource.h>
#include <opentelemetry/sdk/trace/processor.h>

#include <memory>

#include "obs/trace/buffer.h"

namespace obs::trace {

/// Puts every span into `buffer` in the moment it ends. The buffer must outlive it.
std::unique_ptr<opentelemetry::sdk::trace::SpanProcessor> MakeBufferProcessor(
    Buffer& buffer, const opentelemetry::sdk::resource::Resource& resource);

}  // namespace obs::trace
