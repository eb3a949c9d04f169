#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <vector>

namespace obs::http {

using SteadyTime = std::chrono::steady_clock::time_point;

struct ConnectionTimeouts {
  std::chrono::milliseconds header;
  std::chrono::milliseconds body;
  std::chrono::milliseconds idle;
};

/// One accepted connection: what may be written to it, and until when it may do what it does.
///
/// Pistache owns the descriptor and closes it on its own threads; the kernel then gives the same number to
/// the next client. So nothing is ever written by number alone: every write happens here, under the lock and
/// after looking at `gone_`, which is set before Pistache closes. Pistache's own write queue, which keeps
/// replies by number, is not used at all. Thread-safe, but for `input()`.
class Connection {
 public:
  enum class Phase {
    kIdle,      ///< between requests
    kHeader,    ///< the first byte of a request is here, its last header is not
    kBody,      ///< the headers are here, the body is not complete
    kHandling,  ///< a request is being answered; more input means no further request after this one
    kClosing,   ///< the last reply is on its way; input is discarded until the client closes
  };

  Connection(int fd, std::string client_address, const ConnectionTimeouts& timeouts);

  /// Bytes received and not yet part of a request. For the connection's I/O thread alone.
  std::string& input() { return input_; }
  const std::string& client_address() const { return client_address_; }

  /// False when what was received must be discarded: a request is under way (the connection will then close
  /// after its reply, which is what a server that does not pipeline does) or the connection is closing.
  bool AcceptsInput();
  /// Enters kHeader, kBody or kHandling; a deadline starts when the phase changes, not with each byte.
  void Enter(Phase phase);
  /// Writes an interim reply, as "100 Continue".
  void Interim(std::string_view bytes);
  /// Writes the reply to the request under way. `close`: it is the connection's last one. True when the
  /// client reads too slowly to take all of it now: wake the table.
  bool Reply(std::string_view bytes, bool close);
  /// Pistache is about to close the descriptor.
  void MarkGone();

  /// What the table's thread does now and then; see ConnectionTable.
  void WriteMore();
  /// `late` gives the reply to a request that did not arrive whole in time.
  void CheckDeadline(SteadyTime now, const std::function<std::string()>& late);
  void CloseIfIdle();
  /// Whether a reply is still to come, or not yet taken by the kernel.
  bool OwesReply() const;
  /// The same, or a part of a request is here.
  bool IsBusy() const;
  /// The descriptor while output waits for the client to read, else -1.
  int WaitsToWrite() const;

 private:
  std::chrono::milliseconds AllowanceOf(Phase phase) const;
  void EnterLocked(Phase phase);
  void WriteLocked(std::string_view bytes);
  void FinishReplyLocked();
  void BreakLocked();

  const int fd_;
  const std::string client_address_;
  const ConnectionTimeouts timeouts_;
  std::string input_;

  mutable std::mutex mutex_;
  bool gone_ = false;
  bool close_after_reply_ = false;
  Phase phase_ = Phase::kIdle;
  SteadyTime deadline_;
  std::string output_;  ///< what the socket's buffer had no room for
};

/// All open connections of a server, and the one thread that writes to slow readers and ends what takes too
/// long. Thread-safe.
class ConnectionTable {
 public:
  /// `late`: see Connection::CheckDeadline(); called on the table's thread, and must not call back.
  ConnectionTable(std::size_t limit, std::function<std::string()> late);
  ~ConnectionTable();
  ConnectionTable(const ConnectionTable&) = delete;
  ConnectionTable& operator=(const ConnectionTable&) = delete;

  /// False when the limit is reached; the connection is then kept only to be told so and closed.
  bool Add(const std::shared_ptr<Connection>& connection);
  void Remove(const std::shared_ptr<Connection>& connection);
  /// Output waits on some connection: look now.
  void Wake();
  std::size_t size() const;
  void CloseIdle();
  /// Waits at most `deadline` until no connection is open.
  void WaitUntilEmpty(std::chrono::milliseconds deadline);
  /// Waits until every request that is on its way has come and its reply is with the kernel; false when `end`
  /// came first and replies are owed.
  bool WaitUntilDelivered(SteadyTime end);
  /// From now on nothing is written to any connection.
  void Abandon();

 private:
  void Watch();
  std::vector<std::shared_ptr<Connection>> Snapshot() const;

  const std::size_t limit_;
  const std::function<std::string()> late_;
  mutable std::mutex mutex_;
  std::condition_variable emptied_;
  std::unordered_set<std::shared_ptr<Connection>> connections_;
  int wake_fd_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace obs::http
