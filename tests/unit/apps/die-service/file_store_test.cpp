#include "file_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "obs/async/run.h"
#include "obs/scope/scope.h"
#include "support/paths.h"
#include "support/temporary_file.h"

namespace die_service {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class FileStoreTest : public testing::Test {
 protected:
  std::vector<std::string> List(FileStore& store) { return loop_.Run(store.List(scope_)); }
  std::shared_ptr<const DieSpecification> Find(FileStore& store, std::string identifier) {
    return loop_.Run(store.Find(std::move(identifier), scope_));
  }
  static std::string FaultOf(const std::string& json) {
    const support::TemporaryFile file(json);
    return FaultOfFile(file.path());
  }
  static std::string FaultOfFile(const std::string& path) {
    try {
      const FileStore store(path);
    } catch (const std::runtime_error& fault) {
      return fault.what();
    }
    return "none";
  }

 private:
  obs::async::StandaloneLoop loop_;
  obs::Activity activity_;
  obs::Scope scope_{obs::Telemetry::None(), loop_.loop(), obs::trace::Span(), obs::Deadline::max(),
                    activity_};
};

TEST_F(FileStoreTest, ServesTheDiceThatAreShipped) {
  FileStore store(support::SourcePath("apps/die-service/die_specifications.json"));
  EXPECT_THAT(List(store), ElementsAre("extreme", "fair", "risky"));
  EXPECT_EQ(ToJson(*Find(store, "extreme")),
            R"({"identifier":"extreme","name":"extreme","faces":[0,0,6,6,6,6],"error_rate":0.5,"sides":6,)"
            R"("probabilities":{"0":0.3333333333333333,"6":0.6666666666666666}})");
  EXPECT_EQ(Find(store, "unknown"), nullptr);
}

TEST_F(FileStoreTest, TakesExplicitProbabilities) {
  const support::TemporaryFile file(
      R"({"loaded": {"faces": [1, 2], "error_rate": 0, "probabilities": {"1": 0.25, "2": 0.75}}})");
  FileStore store(file.path());
  EXPECT_EQ(Find(store, "loaded")->probabilities.at(2), 0.75);
}

TEST_F(FileStoreTest, NamesTheEntryAndTheRuleItBreaks) {
  const auto die = [](const std::string& entry) {
    return FaultOf(R"({"fair":{"faces":[1],"error_rate":0},"bad":)" + entry + "}");
  };
  EXPECT_THAT(die(R"([1,2])"), HasSubstr("die 'bad': it must be an object"));
  EXPECT_THAT(die(R"({"error_rate":0})"),
              HasSubstr("die 'bad': faces must be an array of 1 to 1000 integers"));
  EXPECT_THAT(die(R"({"faces":[],"error_rate":0})"), HasSubstr("die 'bad': faces must be"));
  EXPECT_THAT(die(R"({"faces":[1.5],"error_rate":0})"), HasSubstr("die 'bad': faces must be"));
  EXPECT_THAT(die(R"({"faces":[99999999999],"error_rate":0})"), HasSubstr("die 'bad': faces must be"));
  EXPECT_THAT(die(R"({"faces":[1]})"), HasSubstr("die 'bad': error_rate must be a number from 0 to 1"));
  EXPECT_THAT(die(R"({"faces":[1],"error_rate":1.5})"), HasSubstr("die 'bad': error_rate must be"));
  EXPECT_THAT(die(R"({"faces":[1],"error_rate":"0"})"), HasSubstr("die 'bad': error_rate must be"));
  EXPECT_THAT(die(R"({"faces":[1],"error_rate":0,"weight":2})"), HasSubstr("but has 'weight'"));
  EXPECT_THAT(die(R"({"faces":[1,2],"error_rate":0,"probabilities":{"1":1}})"),
              HasSubstr("every distinct face"));
  EXPECT_THAT(die(R"({"faces":[1,2],"error_rate":0,"probabilities":{"1":1,"3":0}})"),
              HasSubstr("only its faces"));
  EXPECT_THAT(die(R"({"faces":[1,2],"error_rate":0,"probabilities":{"1":0.5,"2":0.4}})"),
              HasSubstr("add up to 1"));
  EXPECT_THAT(die(R"({"faces":[1,2],"error_rate":0,"probabilities":{"1":1.5,"2":-0.5}})"),
              HasSubstr("from 0 to 1"));
  EXPECT_THAT(die(R"({"faces":[1],"faces":[2],"error_rate":0})"), HasSubstr("die 'bad': it has faces twice"));
  EXPECT_THAT(die(R"({"faces":[1,2],"error_rate":0,"probabilities":{"1":0.9,"1":0.5,"2":0.5}})"),
              HasSubstr("die 'bad': probabilities has '1' twice"));
  EXPECT_THAT(die(R"({"faces":[1],"error_rate":0,"probabilities":{"01":1}})"), HasSubstr("only its faces"));
  EXPECT_THAT(die(R"({"faces":[1],"error_rate":0,"probabilities\u0000x":{"1":1}})"),
              HasSubstr("but has 'probabilities"));
  EXPECT_THAT(FaultOf(R"({"not an id":{"faces":[1],"error_rate":0}})"), HasSubstr("[A-Za-z0-9_-]{1,50}"));
  EXPECT_THAT(FaultOf(R"({"a":{"faces":[1],"error_rate":0},"a":{"faces":[1],"error_rate":0}})"),
              HasSubstr("twice"));
}

TEST_F(FileStoreTest, TellsAFileThatIsMissingEmptyOrNoJson) {
  EXPECT_THAT(FaultOf("{\"fair\":"), HasSubstr("no valid JSON at byte 8"));
  EXPECT_THAT(FaultOf(std::string(1'000'000, '[')), HasSubstr("no valid JSON"));
  EXPECT_THAT(FaultOf("{}"), HasSubstr("at least one die"));
  EXPECT_THAT(FaultOf("[]"), HasSubstr("at least one die"));
  EXPECT_EQ(FaultOfFile("/nowhere/dice.json"),
            "/nowhere/dice.json: cannot be opened: No such file or directory");
}

TEST_F(FileStoreTest, RefusesWhatIsNoRegularFileWithoutWaitingForIt) {
  EXPECT_EQ(FaultOfFile("/tmp"), "/tmp: is no regular file");
  EXPECT_EQ(FaultOfFile("/dev/zero"), "/dev/zero: is no regular file");
  const support::TemporaryFile place("");
  const std::string pipe = place.path() + ".pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(FaultOfFile(pipe), pipe + ": is no regular file");
  unlink(pipe.c_str());
}

TEST_F(FileStoreTest, RefusesAFileThatIsTooLargeBeforeItReadsIt) {
  constexpr std::size_t kBound = std::size_t{4} << 20;
  const support::TemporaryFile file("");
  const auto grow = [&file](std::size_t size) {
    ASSERT_EQ(truncate(file.path().c_str(), static_cast<off_t>(size)), 0);
  };
  grow(std::size_t{100} << 30);  // all holes: reading it would take minutes and more memory than there is
  EXPECT_EQ(FaultOfFile(file.path()),
            file.path() + ": has 107374182400 bytes; a file of dice has at most 4194304");
  grow(kBound + 1);
  EXPECT_THAT(FaultOfFile(file.path()), HasSubstr("has 4194305 bytes"));
  grow(kBound);
  EXPECT_THAT(FaultOfFile(file.path()), HasSubstr("no valid JSON"));
}

TEST_F(FileStoreTest, TakesALargeFileOfManyDice) {
  std::string json = R"({"d0":{"faces":[1],"error_rate":0})";
  for (int i = 1; json.size() < (std::size_t{3} << 20); ++i) {
    json += ",\"d" + std::to_string(i) + R"(":{"faces":[1,2,3,4,5,6],"error_rate":0.1})";
  }
  const support::TemporaryFile file(json + "}");
  FileStore store(file.path());
  EXPECT_GT(store.size(), 60'000u);
}

TEST(DieSpecification, KnowsWhatMayNameADie) {
  EXPECT_TRUE(IsIdentifier("Fair_6-sided"));
  EXPECT_TRUE(IsIdentifier(std::string(50, 'a')));
  for (const auto* text : {"", "a b", "a/b", "a.b", "ä", "a\n"}) EXPECT_FALSE(IsIdentifier(text)) << text;
  EXPECT_FALSE(IsIdentifier(std::string(51, 'a')));
}

}  // namespace
}  // namespace die_service
