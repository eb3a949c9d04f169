// A service starts while what it needs is down, says so, and recovers by itself.
#include <gmock/gmock.h>

#include <string>

#include "support/dice_system.h"

namespace {

using namespace support;  // NOLINT(google-build-using-namespace)
using testing::HasSubstr;

void ExpectUnready(const ServiceUnderTest& service, const std::string& part) {
  const HttpReply readiness = service.Get("/readyz");
  EXPECT_EQ(readiness.status, 503);
  EXPECT_THAT(readiness.body, HasSubstr(part));
  EXPECT_EQ(service.Get("/livez").status, 200);
  EXPECT_EQ(service.Get("/healthz").status, 200);
}

TEST(Readiness, DiceRollerAwaitsDieService) {
  DiceSystem system;
  system.dice_roller.Start();
  ExpectUnready(system.dice_roller, "die-service");
  const HttpReply roll = system.dice_roller.Get("/roll?die=fair");
  EXPECT_EQ(roll.status, 503);
  EXPECT_EQ(roll.json()["type"].Text(), "urn:problem-type:die-service-unreachable");
  system.die_service.StartReady();
  system.dice_roller.AwaitReady();
  EXPECT_EQ(system.dice_roller.Get("/roll?die=fair").status, 200);
}

TEST(Readiness, FrontendAwaitsDiceRollerAndDieService) {
  DiceSystem system;
  system.frontend.Start();
  ExpectUnready(system.frontend, "dice-roller");
  ExpectUnready(system.frontend, "die-service");
  EXPECT_EQ(system.frontend.Get("/roll?die=fair").json()["type"].Text(),
            "urn:problem-type:dice-roller-unreachable");
  EXPECT_EQ(system.frontend.Get("/dice").json()["type"].Text(), "urn:problem-type:die-service-unreachable");
  system.die_service.StartReady();
  EXPECT_TRUE(Eventually(
      [&] { return system.frontend.Get("/readyz").body.find("die-service") == std::string::npos; }));
  ExpectUnready(system.frontend, "dice-roller");
  system.dice_roller.StartReady();
  system.frontend.AwaitReady();
  EXPECT_EQ(system.frontend.Get("/roll?die=fair").status, 200);
}

TEST(Readiness, StaysWhenADependencyFailsLater) {
  DiceSystem system;
  system.Start();
  EXPECT_EQ(system.die_service.Stop(), 0);
  for (ServiceUnderTest* service : {&system.dice_roller, &system.frontend}) {
    SCOPED_TRACE(service->name());
    const HttpReply roll = service->Get("/roll?die=fair");
    EXPECT_EQ(roll.status, 503);
    EXPECT_EQ(roll.json()["type"].Text(), "urn:problem-type:die-service-unreachable");
    EXPECT_EQ(service->Get("/readyz").status, 200);
  }
  EXPECT_EQ(system.frontend.Get("/dice").json()["type"].Text(), "urn:problem-type:die-service-unreachable");

  system.die_service.StartReady();
  EXPECT_TRUE(Eventually([&] { return system.frontend.Get("/roll?die=fair").status == 200; }));
}

TEST(Readiness, ReturnsWhenDieServiceWasKilled) {
  DiceSystem system;
  system.Start();
  ASSERT_EQ(system.frontend.Get("/roll?die=fair").status, 200);  // a connection is kept alive now
  system.die_service.Kill();
  EXPECT_EQ(system.frontend.Get("/roll?die=fair").status, 503);
  const Labels refused = {{"status", "refused"}};
  EXPECT_TRUE(Becomes([&] { return system.dice_roller.Metric("die_service_requests_total", refused); }, 1));
  system.die_service.StartReady();
  EXPECT_EQ(system.frontend.Get("/roll?die=fair").status, 200);
}

TEST(Readiness, OfADrainingServiceIsGoneWhileItIsAlive) {
  DiceSystem system;
  system.die_service.Set("DRAIN_DELAY", "1s");
  system.die_service.StartReady();
  system.die_service.process().Signal(SIGTERM);
  EXPECT_TRUE(Eventually([&] { return system.die_service.Get("/readyz").status == 503; }));
  EXPECT_EQ(system.die_service.Get("/livez").status, 200);
  EXPECT_EQ(system.die_service.Get("/dice").status, 200);
  EXPECT_EQ(system.die_service.Get("/dice").Header("Connection"), "close");
  EXPECT_EQ(system.die_service.process().Wait(), 0);
  EXPECT_FALSE(system.die_service.process().WaitForLog("Stopped").IsNull());
}

TEST(Readiness, NeedsNoFixedPort) {
  DiceSystem system;
  Process service({ProgramPath("die-service")},
                  {{"PORT", "0"}, {"DIE_SPECIFICATIONS_FILE", system.dice.path()}, {"DRAIN_DELAY", "0"}});
  const Json line = service.WaitForLog("Listening");
  ASSERT_FALSE(line.IsNull()) << service.Errors();
  EXPECT_EQ(Get(static_cast<std::uint16_t>(line["port"].Number()), "/dice").status, 200);
  service.Signal(SIGINT);
  EXPECT_EQ(service.Wait(), 0);
}

}  // namespace
