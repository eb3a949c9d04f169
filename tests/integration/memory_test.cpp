// What a service no longer needs goes back to the kernel.
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "support/dice_system.h"
#include "support/http_client.h"
#include "support/sanitized.h"

namespace {

using namespace support;  // NOLINT(google-build-using-namespace)
using testing::Gt;
using testing::Lt;

constexpr double kMebibyte = 1 << 20;

class Memory : public testing::Test {
 protected:
  void SetUp() override {
    if (kSanitized) GTEST_SKIP() << "the sanitizer's own memory is most of it";
    service.Start();
    ASSERT_TRUE(Becomes([this] { return service.Get("/livez").status; }, 200));
  }
  double Resident() const { return service.Metric("process_resident_memory_bytes"); }

  ReservedPort nobody;
  ServiceUnderTest service{"dice-roller", CommonEnvironment(nobody.url())};
};

TEST_F(Memory, OfTheStartAloneIsGivenBack) {
  const double at_start = Resident();
  EXPECT_TRUE(Becomes([this] { return Resident(); }, Lt(0.75 * at_start))) << at_start;
  EXPECT_EQ(service.Get("/livez").status, 200);
}

TEST_F(Memory, OfABurstIsGivenBackThoughSomeOfItIsStillInUse) {
  constexpr std::size_t kClients = 400;
  constexpr std::size_t kBody = 60'000;
  const double before = Resident();
  const std::string request = "POST /roll HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(kBody) +
                              "\r\n\r\n" + std::string(kBody - 1, 'x');
  std::vector<HttpConnection> clients;
  for (std::size_t i = 0; i < kClients; ++i) {
    clients.emplace_back(service.port());
    ASSERT_TRUE(clients.back().Send(request));
  }
  EXPECT_TRUE(Becomes([this] { return Resident(); }, Gt(before + 16 * kMebibyte)));
  // Some connections stay. Their memory lies between the freed parts, which the allocator does not return by
  // itself.
  std::vector<HttpConnection> staying;
  for (std::size_t i = 0; i < kClients; i += 20) staying.push_back(std::move(clients[i]));
  clients.clear();
  EXPECT_TRUE(Becomes([this] { return Resident(); }, Lt(before + 6 * kMebibyte))) << before;
}

}  // namespace
