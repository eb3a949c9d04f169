#include "obs/trace/collector.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <utility>

namespace obs::trace {
namespace {

/// An answer is a few bytes. A stranger's may be a page, and must not fill the memory.
constexpr std::size_t kMaxBodyBytes = 4096;
/// Seconds; longer than any export may take, and short enough to be counted in any unit.
constexpr curl_off_t kMaxRetryAfter = 86'400;

/// OpenTelemetry Protocol, "OTLP/HTTP Response".
bool IsTemporary(long status) { return status == 429 || status == 502 || status == 503 || status == 504; }

/// No connection, or one that broke before the answer.
bool IsTemporary(CURLcode code) {
  static constexpr std::array kTemporary = {CURLE_COULDNT_RESOLVE_PROXY,
                                            CURLE_COULDNT_RESOLVE_HOST,
                                            CURLE_COULDNT_CONNECT,
                                            CURLE_SEND_ERROR,
                                            CURLE_RECV_ERROR,
                                            CURLE_GOT_NOTHING};
  return std::find(kTemporary.begin(), kTemporary.end(), code) != kTemporary.end();
}

std::size_t KeepBody(const char* bytes, std::size_t size, std::size_t count, void* to) {
  std::string& body = *static_cast<std::string*>(to);
  body.append(bytes, std::min(size * count, kMaxBodyBytes - body.size()));
  return size * count;
}

/// Room for a whole request, so that the kernel sends it while this thread waits for a processor.
int EnlargeSendBuffer(void*, curl_socket_t socket, curlsocktype) {
  constexpr int kBytes = 256 << 10;
  setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &kBytes, sizeof(kBytes));  // if it fails, it only takes longer
  return CURL_SOCKOPT_OK;
}

}  // namespace

Collector::Collector(const Config& config, std::size_t slots) : config_(config), slots_(slots) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  multi_.reset(curl_multi_init());
  if (!multi_) {
    throw std::runtime_error("libcurl cannot be initialised");
  }
  curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(slots));
  AddHeader("Content-Type: application/x-protobuf");
  AddHeader("Expect:");
  for (const auto& [name, value] : config_.otlp_headers) {
    AddHeader(fmt::format("{}: {}", name, value));
  }
}

Collector::~Collector() {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Cancel(i);
  }
}

void Collector::Post(std::size_t slot, std::string_view request, std::chrono::milliseconds timeout) {
  Slot& used = slots_[slot];
  Prepare(used, slot);
  CURL* const handle = used.handle.get();
  const long milliseconds = std::max(static_cast<long>(timeout.count()), 1L);  // 0 would mean without end
  curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.data());
  curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.size()));
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, milliseconds);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, milliseconds);
  used.busy = true;
  curl_multi_add_handle(multi_.get(), handle);
}

std::vector<Collector::Answer> Collector::Wait(std::chrono::milliseconds limit) {
  std::vector<Answer> answers = TakeAnswers();
  if (answers.empty()) {
    curl_multi_poll(multi_.get(), nullptr, 0, static_cast<int>(std::max<std::int64_t>(limit.count(), 0)),
                    nullptr);
    answers = TakeAnswers();
  }
  return answers;
}

void Collector::Cancel(std::size_t slot) {
  if (std::exchange(slots_[slot].busy, false)) {
    curl_multi_remove_handle(multi_.get(), slots_[slot].handle.get());
  }
}

void Collector::Wake() { curl_multi_wakeup(multi_.get()); }

void Collector::AddHeader(const std::string& line) {
  if (curl_slist* list = curl_slist_append(headers_.get(), line.c_str())) {
    static_cast<void>(headers_.release());
    headers_.reset(list);
  }
}

void Collector::Prepare(Slot& slot, std::size_t number) {
  slot.error[0] = '\0';
  slot.body.clear();
  if (slot.handle) {
    return;
  }
  slot.handle.reset(curl_easy_init());
  if (!slot.handle) {
    throw std::runtime_error("libcurl has no memory for a request");
  }
  const auto set = [&](CURLoption option, auto value) { curl_easy_setopt(slot.handle.get(), option, value); };
  const auto set_file = [&](CURLoption option, const std::string& path) {
    if (!path.empty()) set(option, path.c_str());
  };
  set(CURLOPT_URL, config_.otlp_endpoint.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTPHEADER, headers_.get());
  set(CURLOPT_USERAGENT, "OTel-OTLP-Exporter-obs");
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_QUICK_EXIT, 1L);  // a thread that still resolves the name must not delay the end
  set(CURLOPT_SOCKOPTFUNCTION, &EnlargeSendBuffer);
  set(CURLOPT_WRITEFUNCTION, &KeepBody);
  set(CURLOPT_WRITEDATA, &slot.body);
  set(CURLOPT_ERRORBUFFER, slot.error.data());
  // NOLINTNEXTLINE(performance-no-int-to-ptr): a number is all that is kept there
  set(CURLOPT_PRIVATE, reinterpret_cast<void*>(number));
  set_file(CURLOPT_CAINFO, config_.otlp_certificate);
  set_file(CURLOPT_SSLCERT, config_.otlp_client_certificate);
  set_file(CURLOPT_SSLKEY, config_.otlp_client_key);
}

std::vector<Collector::Answer> Collector::TakeAnswers() {
  int running = 0;
  curl_multi_perform(multi_.get(), &running);
  std::vector<Answer> answers;
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    const CURLcode code = message->data.result;
    void* number = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &number);
    answers.push_back(Read(reinterpret_cast<std::size_t>(number), code));
    Cancel(answers.back().slot);  // after the message, which removing the handle takes away
  }
  return answers;
}

Collector::Answer Collector::Read(std::size_t number, CURLcode code) {
  Slot& slot = slots_[number];
  CURL* const handle = slot.handle.get();
  Answer answer{.slot = number};
  if (code != CURLE_OK) {
    answer.error = slot.error[0] != '\0' ? slot.error.data() : curl_easy_strerror(code);
    answer.temporary = IsTemporary(code);
    answer.silent = code == CURLE_OPERATION_TIMEDOUT;
    return answer;
  }
  answer.body = std::move(slot.body);
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  if (status / 100 != 2) {
    answer.error = fmt::format("the collector answered {}", status);
    answer.temporary = IsTemporary(status);
    curl_off_t seconds = 0;
    curl_easy_getinfo(handle, CURLINFO_RETRY_AFTER, &seconds);
    answer.retry_after = std::chrono::seconds(std::clamp<curl_off_t>(seconds, 0, kMaxRetryAfter));
  }
  return answer;
}

}  // namespace obs::trace
