#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "resolver/redirect/octet_budget.h"

namespace mutua::resolver {

// A non-blocking TCP socket and what edge-triggered epoll last said of it: "readable" means that a
// read is worth trying. It comes to its end by EAGAIN, or by a read that was not filled: then the
// socket is empty and epoll will tell of more. That holds until a word of the end, of an error or of
// urgent data, since these come once and stop a read early.
struct Stream {
  UniqueFd fd;
  bool readable = false, writable = false;
  bool extraordinary = false;  // such a word has come
  bool hung_up = false;        // nothing goes either way any more: close() says nothing to anybody
  bool written = false;        // once at least
  bool no_delay = false;       // TCP_NODELAY is set

  // `events` of epoll(7).
  void note(std::uint32_t events);
  void note_read(std::size_t received, std::size_t room) {
    if (received < room && !extraordinary) readable = false;
  }
  // send(2). Nagle's algorithm has no say: it would not hold the first write back, and is off from the
  // second on, so that a connection of one request saves a system call.
  ssize_t write(BytesView octets);
};

// One direction of a relayed connection: `from` -> a buffer of the thread's -> `to`. At the end of
// `from` the write side of `to` is shut down (half-close). Nothing is read while `to` takes nothing,
// so a slow reader slows its writer down, and a flow holds at most one buffer of octets, 256 KiB, or
// 16 KiB once the budget is spent.
//
// Octets are copied, not spliced: a buffer that stays in the processor's cache costs the relay
// little more than moving references to pages does, and spares both ends more than that, who
// otherwise meet pages that no cache has seen. The queue to the client is kept short (kClientQueue):
// bench/client, paths: 1.2 to 1.9 of nginx's throughput, 1.2 to 2.1 of HAProxy's with splice.
class TcpFlow {
 public:
  // `budget` outlives the flow.
  explicit TcpFlow(OctetBudget& budget) : budget_(budget) {}
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
  // Called once, before the first advance().
  void set_prefix(Bytes prefix, std::size_t sent);
  // `is_last`: the other direction has finished, so that whoever calls closes both sockets as soon as
  // this one has, which tells `to` as much as a shutdown does.
  Progress advance(Stream& from, Stream& to, bool is_last);

  bool is_finished() const { return finished_; }

  // Octets read from `from` since the last call.
  std::uint64_t take_received() { return std::exchange(received_, 0); }

 private:
  enum class Step { done, blocked, failed };
  Step send_held(Stream& to);
  Step pass_on(Stream& from, Stream& to);
  void hold(Bytes octets);

  OctetBudget& budget_;
  Bytes held_;  // read, and not all of it sent
  std::size_t held_sent_ = 0;
  std::uint64_t received_ = 0;
  bool ended_ = false, finished_ = false;
};

}  // namespace mutua::resolver
