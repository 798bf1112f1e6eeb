#pragma once

#include <set>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace mutua::vm {

// Gives the listener of watch_machine_calls() to the reader of `socket`'s other end.
Result<void> send_listener(int socket, int listener);

// Answers the system calls that a machine's jail refuses, and logs each kind of them once, as
// machine.denied: an honest guest's kernel makes none. After kMostDenials the jail is no longer
// listened to, so that it cannot keep its warden busy; then its calls fail with ENOSYS.
class Denials {
 public:
  static constexpr unsigned kMostDenials = 10'000;
  static constexpr std::size_t kMostKinds = 64;

  // `socket` is where send_listener() writes; `machine` is the name to log.
  Denials(std::string machine, UniqueFd socket);

  // Readable when there is something to handle; -1 once there never will be.
  int fd() const { return listener_ ? listener_.get() : socket_.get(); }
  // Does not block.
  void handle_readable();

  unsigned count() const { return count_; }

 private:
  void receive_listener();
  void answer_call();

  std::string machine_;
  UniqueFd socket_;
  UniqueFd listener_;
  unsigned count_ = 0;
  std::set<int> logged_;
};

}  // namespace mutua::vm
