#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/socket_address.h"
#include "base/unique_fd.h"
#include "resolver/event_loop/event_loop.h"
#include "resolver/redirect/peer_chooser.h"

namespace mutua::resolver {

struct UdpLimits {
  std::chrono::milliseconds silence{
      1000};  // of a peer that never answered, before the next is tried
  std::chrono::milliseconds idle{
      60'000};                  // since the peer's last word, before a session is forgotten
  std::size_t sessions = 1024;  // of one thread; datagrams of more clients are dropped
  std::size_t kept_datagrams = 8, kept_octets = 16 * 1024;  // of one session, for replay
};

// Relays the datagrams of one synthetic (address, UDP port). Each client address has a session with
// one peer. What the client said since the peer's last answer is kept, and said again to the next
// candidate when the peer refuses (ICMP), or never answered for `silence`. Silence is held against
// a peer only once another one answers: some protocols never answer. When all candidates are
// through, the session is forgotten, and the client's next datagram begins anew.
// Lives on its loop's thread.
class UdpListener final : public EventLoop::Handler {
 public:
  // Everything given outlives the listener. `socket` is non-blocking and bound.
  // `sessions_of_thread` counts the sessions of all listeners of the thread.
  UdpListener(EventLoop& loop, PeerChooser& chooser, const UdpLimits& limits,
              std::size_t& sessions_of_thread, UniqueFd socket, Target target);
  ~UdpListener();

  Result<void> begin();
  // Gives all sessions to the loop for disposal; the listener is disposed of by the caller.
  void close();
  void on_ready(std::uint32_t events) override;

  std::size_t session_count() const { return sessions_.size(); }
  SteadyTime used_at() const { return used_at_; }

 private:
  class Session;
  void forget(const SocketAddress& client);

  EventLoop& loop_;
  PeerChooser& chooser_;
  const UdpLimits& limits_;
  std::size_t& sessions_of_thread_;
  const UniqueFd socket_;
  const Target target_;
  std::map<SocketAddress, std::shared_ptr<Session>> sessions_;
  SteadyTime used_at_;
};

}  // namespace mutua::resolver
