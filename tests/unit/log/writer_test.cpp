#include "obs/log/writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "support/eventually.h"
#include "support/temporary_file.h"

namespace obs::log {
namespace {

using namespace std::chrono_literals;
using support::Eventually;

/// Two connected descriptors: what goes into `in` comes out at the reader's end.
class Channel {
 public:
  enum class Kind { kPipe, kSocket, kTerminal };

  explicit Channel(Kind kind) {
    std::array<int, 2> ends{-1, -1};
    EXPECT_EQ(Open(kind, ends), 0);
    out_ = ends[0];
    in_ = ends[1];
  }
  ~Channel() {
    CloseReader();
    CloseWriter();
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  int in() const { return in_; }
  void CloseReader() { Close(out_); }
  void CloseWriter() { Close(in_); }

  /// What arrives until it has `count` lines; less when that takes too long.
  std::string ReadLines(std::ptrdiff_t count) const {
    std::string text;
    Eventually([&] {
      pollfd ready{out_, POLLIN, 0};
      if (poll(&ready, 1, 0) > 0) ReadSome(text);
      return std::count(text.begin(), text.end(), '\n') >= count;
    });
    return text;
  }
  /// What arrives until every writer has closed its end.
  std::string ReadAll() const {
    std::string text;
    while (ReadSome(text)) {
    }
    return text;
  }

 private:
  static int Open(Kind kind, std::array<int, 2>& ends) {
    if (kind == Kind::kPipe) return pipe2(ends.data(), O_CLOEXEC);
    if (kind == Kind::kSocket) return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data());
    termios as_it_comes{};
    cfmakeraw(&as_it_comes);
    return openpty(&ends[0], &ends[1], nullptr, &as_it_comes, nullptr);
  }
  static void Close(int& fd) {
    if (fd >= 0) close(fd);
    fd = -1;
  }
  bool ReadSome(std::string& text) const {
    std::array<char, 1000> buffer{};
    const ssize_t count = read(out_, buffer.data(), buffer.size());
    if (count > 0) text.append(buffer.data(), static_cast<std::size_t>(count));
    return count > 0;
  }

  int in_;
  int out_;
};

constexpr std::size_t kSmall = 16384;

std::string Line(std::size_t length, char letter = 'x') { return std::string(length - 1, letter) + '\n'; }

std::vector<std::string> Split(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line + '\n');
  return lines;
}

/// Writes until the kernel takes no more and the writer's own room of kSmall is full, which needs a reader
/// that reads nothing.
void FillUp(Writer& writer, const Channel& channel, const std::string& line) {
  const auto fill = [&] {
    for (std::size_t bytes = 0; bytes < kSmall; bytes += line.size()) writer.Write(line);
  };
  EXPECT_TRUE(Eventually([&] {
    fill();
    pollfd ready{channel.in(), POLLOUT, 0};
    return poll(&ready, 1, 0) == 0;
  }));
  fill();
}

TEST(Writer, DeliversLinesInTheirOrder) {
  Channel channel(Channel::Kind::kPipe);
  Writer writer(channel.in());
  writer.Write("one\n");
  writer.Write("two\n");
  writer.Write("three\n");
  EXPECT_EQ(channel.ReadLines(3), "one\ntwo\nthree\n");
  EXPECT_TRUE(Eventually([&] { return writer.lines_written() == 3; }));
  EXPECT_EQ(writer.lines_dropped(), 0u);
}

TEST(Writer, DeliversEachLineOfAQuietProgram) {
  Channel channel(Channel::Kind::kPipe);
  Writer writer(channel.in());
  for (int i = 0; i < 100; ++i) {
    writer.Write(std::to_string(i) + '\n');
    ASSERT_EQ(channel.ReadLines(1), std::to_string(i) + '\n');
  }
}

TEST(Writer, WritesEverythingToAFileBeforeItIsGone) {
  const support::TemporaryFile file("");
  const int fd = open(file.path().c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  std::string expected;
  {
    Writer writer(fd);
    for (int i = 0; i < 10000; ++i) {
      const std::string line = std::to_string(i) + '\n';
      writer.Write(line);
      expected += line;
    }
  }
  close(fd);
  std::stringstream content;
  content << std::ifstream(file.path()).rdbuf();
  EXPECT_EQ(content.str(), expected);
}

TEST(Writer, FlushWaitsForWhatWasQueuedBeforeIt) {
  Channel channel(Channel::Kind::kPipe);
  Writer writer(channel.in());
  for (int i = 0; i < 100; ++i) writer.Write("line\n");
  EXPECT_TRUE(writer.Flush(support::kPatience));
  EXPECT_EQ(writer.lines_written(), 100u);
}

TEST(Writer, KeepsLinesWholeWhenManyThreadsWrite) {
  constexpr int kThreads = 4;
  constexpr int kLines = 5000;
  Channel channel(Channel::Kind::kPipe);
  std::string text;
  std::thread reader([&] { text = channel.ReadAll(); });
  {
    Writer writer(channel.in());
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&writer, letter = static_cast<char>('a' + i)] {
        for (int n = 0; n < kLines; ++n) writer.Write(Line(150, letter));
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(writer.Flush(support::kPatience));
    EXPECT_EQ(writer.lines_written() + writer.lines_dropped(), std::uint64_t{kThreads} * kLines);
    channel.CloseWriter();
  }
  reader.join();
  for (const std::string& line : Split(text)) ASSERT_EQ(line, Line(150, line[0]));
}

TEST(Writer, LeavesTheSharedDescriptorBlocking) {
  Channel channel(Channel::Kind::kPipe);
  Writer writer(channel.in());
  writer.Write("line\n");
  ASSERT_TRUE(writer.Flush(support::kPatience));
  EXPECT_EQ(fcntl(channel.in(), F_GETFL) & O_NONBLOCK, 0);
}

TEST(Writer, DropsALineThatIsLongerThanAllItsRoom) {
  Channel channel(Channel::Kind::kPipe);
  Writer writer(channel.in(), 100);
  writer.Write(Line(101));
  writer.Write(Line(100));
  EXPECT_EQ(channel.ReadLines(1), Line(100));
  EXPECT_EQ(writer.lines_dropped(), 1u);
}

class WriterTo : public testing::TestWithParam<Channel::Kind> {};

TEST_P(WriterTo, AStuckReaderCostsLinesButNoTime) {
  Channel channel(GetParam());
  Writer writer(channel.in(), kSmall);
  FillUp(writer, channel, Line(100));
  const std::uint64_t before = writer.lines_dropped();
  const support::Stopwatch watch;
  for (int i = 0; i < 10000; ++i) writer.Write(Line(100));
  EXPECT_LT(watch.elapsed(), 1s);
  EXPECT_GE(writer.lines_dropped(), before + 10000 - kSmall / 100);
  EXPECT_FALSE(writer.Flush(10ms));
}

TEST_P(WriterTo, AStuckReaderIsGivenOneSecondAtTheEnd) {
  Channel channel(GetParam());
  auto writer = std::make_unique<Writer>(channel.in(), kSmall);
  FillUp(*writer, channel, Line(100));
  const support::Stopwatch watch;
  writer.reset();
  EXPECT_LT(watch.elapsed(), 3s);
}

TEST_P(WriterTo, AReaderThatWasStuckGetsOnlyWholeLines) {
  Channel channel(GetParam());
  std::uint64_t written = 0;
  std::string text;
  std::thread reader;
  {
    Writer writer(channel.in(), kSmall);
    FillUp(writer, channel, Line(5000));  // longer than what a pipe takes in one piece
    reader = std::thread([&] { text = channel.ReadAll(); });
    EXPECT_TRUE(writer.Flush(support::kPatience));
    written = writer.lines_written();
    channel.CloseWriter();
  }
  reader.join();
  const std::vector<std::string> lines = Split(text);
  EXPECT_EQ(lines.size(), written);
  for (const std::string& line : lines) ASSERT_EQ(line, Line(5000));
}

TEST_P(WriterTo, AReaderThatIsGoneMakesLinesDroppedAndTheProgramLives) {
  const auto previous = std::signal(SIGPIPE, SIG_DFL);
  Channel channel(GetParam());
  Writer writer(channel.in());
  writer.Write("read\n");
  EXPECT_EQ(channel.ReadLines(1), "read\n");
  channel.CloseReader();
  for (int i = 0; i < 3; ++i) writer.Write("lost\n");
  EXPECT_TRUE(writer.Flush(support::kPatience));
  EXPECT_EQ(writer.lines_written(), 1u);
  EXPECT_EQ(writer.lines_dropped(), 3u);
  std::signal(SIGPIPE, previous);
}

std::string KindName(const testing::TestParamInfo<Channel::Kind>& test) {
  if (test.param == Channel::Kind::kPipe) return "Pipe";
  return test.param == Channel::Kind::kSocket ? "Socket" : "Terminal";
}

INSTANTIATE_TEST_SUITE_P(A, WriterTo,
                         testing::Values(Channel::Kind::kPipe, Channel::Kind::kSocket,
                                         Channel::Kind::kTerminal),
                         KindName);

}  // namespace
}  // namespace obs::log
