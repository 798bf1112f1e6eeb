#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace mutua::vm::qemu {

// QEMU's control socket (QMP): lines of JSON. QEMU may have been taken over by its guest, so each
// line has a bound and everything is waited for until a deadline. For one thread.
class Qmp {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  // `socket` is a stream that does not block. `ended` becomes readable when QEMU has ended.
  Qmp(UniqueFd socket, int ended) : socket_(std::move(socket)), ended_(ended) {}

  int fd() const { return socket_.get(); }

  // QEMU's greeting, and the end of its negotiation.
  Result<void> open(Deadline deadline);
  // Sends {"execute": command, "arguments": arguments} and waits for its return; `descriptor`, if
  // not -1, goes along. Both texts are JSON already. The error holds QEMU's own words. An answer
  // that comes after the deadline is nobody's.
  Result<void> execute(std::string_view command, std::string_view arguments, Deadline deadline,
                       int descriptor = -1);
  // Waits until a migration that execute() began has completed.
  Result<void> await_migration(Deadline deadline);
  // Ends one that is under way, if any; QEMU lets the guest go on only after that.
  Result<void> cancel_migration(Deadline deadline);
  // Reads the events that are there, without waiting.
  void drain();

  // The reason of QEMU's last SHUTDOWN event: "guest-shutdown", "guest-reset", …; empty before.
  const std::string& shutdown_reason() const { return shutdown_reason_; }

 private:
  enum class Line { answer, other };  // other: an event, or the answer to a command given up

  bool has_migrated() const;
  Result<std::string> read_line(Deadline deadline);
  Result<bool> receive();
  Result<Line> understand(const std::string& line);

  UniqueFd socket_;
  int ended_;
  std::string unread_;
  std::uint64_t command_ = 0;  // the number of the latest one, which its answer repeats
  std::string failure_;        // of the latest answer; empty: it was a return
  std::string migration_;      // as QEMU last told; empty: there was none
  std::string shutdown_reason_;
};

}  // namespace mutua::vm::qemu
