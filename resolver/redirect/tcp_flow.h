#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "resolver/redirect/pipe_pool.h"

namespace mutua::resolver {

// A non-blocking socket and what edge-triggered epoll last said of it: "readable" means that a read
// is worth trying, until it gives EAGAIN.
struct Stream {
  UniqueFd fd;
  bool readable = false, writable = false;
};

// One direction of a relayed connection: `from` -> pipe -> `to`, inside the kernel. At the end of
// `from` the write side of `to` is shut down (half-close). Nothing is read while `to` takes nothing,
// so a slow reader slows its writer down and at most one pipe of octets is held. When the pool has
// no pipe, octets are copied through 16 KiB of memory instead.
class TcpFlow {
 public:
  // `pipes` outlives the flow.
  explicit TcpFlow(PipePool& pipes) : pipes_(pipes) {}
  ~TcpFlow();
  TcpFlow(const TcpFlow&) = delete;
  TcpFlow& operator=(const TcpFlow&) = delete;

  enum class Progress {
    waiting,   // for the sockets
    yielded,   // there is more to do; others first
    finished,  // the end of `from` has been passed on
    broken,    // a socket failed
  };

  // `prefix` goes out before what `from` still has to say; its first `sent` octets have gone.
  void set_prefix(Bytes prefix, std::size_t sent);
  Progress advance(Stream& from, Stream& to);

  // Octets read from `from` since the last call.
  std::uint64_t take_received() { return std::exchange(received_, 0); }

 private:
  enum class Step { done, blocked, failed };
  Step send_prefix(Stream& to);
  Step drain(Stream& to);
  Step fill(Stream& from);
  Step read_without_pipe(Stream& from);

  PipePool& pipes_;
  Bytes prefix_;
  std::size_t prefix_sent_ = 0;
  Pipe pipe_;
  std::size_t in_pipe_ = 0;
  std::uint64_t received_ = 0;
  bool ended_ = false, finished_ = false;
};

}  // namespace mutua::resolver
