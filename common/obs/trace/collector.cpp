#include "obs/trace/collector.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

namespace obs::trace {
namespace {

/// An answer is a few bytes. A stranger's may be a page, and must not fill the memory.
constexpr std::size_t kMaxHeaderBytes = std::size_t{16} << 10;
constexpr std::size_t kMaxBodyBytes = std::size_t{64} << 10;
/// Room for a whole request, so that the kernel sends it while this thread waits for a processor.
constexpr int kSendBuffer = 256 << 10;

/// OpenTelemetry Protocol, "OTLP/HTTP Response".
bool IsTemporary(int status) { return status == 429 || status == 502 || status == 503 || status == 504; }

}  // namespace

/// Tells when a Wait has lasted long enough.
class Collector::Alarm final : public async::Timer {
  void OnTimer() override {}
};

/// One request under way.
class Collector::Slot final : private async::Root::Listener {
 public:
  explicit Slot(std::vector<Answer>& answers) : answers_(answers) {}

  void Start(async::Task<Answer> task) { root_.Start(Keep(std::move(task)), *this); }
  void Cancel() { root_.Cancel(); }

 private:
  async::Task<void> Keep(async::Task<Answer> task) { answer_ = co_await task; }
  void OnFinished() override { answers_.push_back(std::move(answer_)); }

  std::vector<Answer>& answers_;
  Answer answer_;
  async::Root root_;  ///< first to go: what it runs refers to the rest
};

Collector::Collector(const Config& config, std::size_t slots) : alarm_(std::make_unique<Alarm>()) {
  const auto url = http1::ParseUrl(config.otlp_endpoint);
  try {
    if (!url) throw std::runtime_error(config.otlp_endpoint + ": is no http:// or https:// URL");
    origin_ = std::make_unique<http1::Origin>(
        http1::OriginConfig{.url = *url,
                            .connect_timeout = config.export_timeout,
                            .max_idle_connections = slots,
                            .send_buffer = kSendBuffer,
                            .ca_file = config.otlp_certificate,
                            .certificate_file = config.otlp_client_certificate,
                            .key_file = config.otlp_client_key});
    fixed_head_ = fmt::format(
        "POST {} HTTP/1.1\r\n"
        "Host: {}\r\n"
        "User-Agent: OTel-OTLP-Exporter-obs\r\n"
        "Accept: application/x-protobuf\r\n"
        "Content-Type: application/x-protobuf\r\n",
        url->path.empty() ? "/" : url->path, url->authority);
    for (const auto& [name, value] : config.otlp_headers) {
      fixed_head_ += fmt::format("{}: {}\r\n", name, value);
    }
  } catch (const std::exception& error) {
    broken_ = error.what();
  }
  for (std::size_t i = 0; i < slots; ++i) {
    slots_.push_back(std::make_unique<Slot>(answers_));
  }
}

Collector::~Collector() = default;

std::string Collector::HeadOf(std::string_view request) const {
  return fmt::format("{}Content-Length: {}\r\n\r\n", fixed_head_, request.size());
}

void Collector::Post(std::size_t slot, std::string_view request, std::chrono::milliseconds timeout) {
  slots_[slot]->Start(Send(slot, request, async::Clock::now() + timeout));
}

std::vector<Collector::Answer> Collector::Wait(std::chrono::milliseconds limit) {
  alarm_->Arm(loop_.loop(), async::Clock::now() + std::max(limit, std::chrono::milliseconds(0)));
  loop_.RunUntil([this] { return !answers_.empty() || std::exchange(woken_, false) || !alarm_->armed(); });
  return std::exchange(answers_, {});
}

void Collector::Cancel(std::size_t slot) { slots_[slot]->Cancel(); }

void Collector::Wake() {
  loop_.loop().mailbox()->Post([this] { woken_ = true; });
}

async::Task<Collector::Answer> Collector::Send(std::size_t slot, std::string_view request,
                                               async::Deadline deadline) {
  Answer answer{.slot = slot};
  if (!origin_) {
    answer.error = broken_;
    co_return answer;
  }
  const std::string head = HeadOf(request);
  http1::ResponseReader reader(false, kMaxHeaderBytes, kMaxBodyBytes);
  try {
    // A span that comes twice is the same span, so the request may be sent again.
    co_await origin_->Send(loop_.loop(), head, request, true, reader, deadline);
  } catch (const http1::SocketError& error) {
    const bool connected = error.kind != http1::SocketError::Kind::kRefused;
    answer.error = connected
                       ? error.reason
                       : fmt::format("cannot connect to {}: {}", origin_->url().authority, error.reason);
    answer.silent = error.kind == http1::SocketError::Kind::kTimeout;
    answer.temporary = !answer.silent;
    co_return answer;
  }
  const int status = reader.status();
  if (status == 0) {
    answer.error = reader.error();
  } else if (status >= 300) {
    answer.error = fmt::format("the collector answered {}", status);
    answer.temporary = IsTemporary(status);
    answer.retry_after = http1::ParseRetryAfter(reader.Header("Retry-After"));
  } else if (reader.state() == http1::ResponseReader::State::kComplete) {
    answer.body = std::move(reader.body());
  }  // else it took the request, and what it said of it is no OTLP
  co_return answer;
}

}  // namespace obs::trace
