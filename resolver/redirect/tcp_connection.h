#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "resolver/event_loop/event_loop.h"
#include "resolver/health/bandwidth_meter.h"
#include "resolver/redirect/octet_budget.h"
#include "resolver/redirect/peer_chooser.h"
#include "resolver/redirect/tcp_flow.h"

namespace mutua::resolver {

struct TcpLimits {
  std::chrono::milliseconds connect_stall{300};    // for one attempt; doubled with each new list
  std::chrono::milliseconds unacknowledged{1500};  // octets sent to a peer, before its first octet
  std::chrono::milliseconds first_octet{10'000};   // after the request; see TcpConnection
  std::chrono::milliseconds list_pause{200};  // before a new list is asked for; doubled each time
  std::chrono::milliseconds give_up{15'000};  // from accept() to the last attempt's begin
  unsigned lists = 4;                         // orders of candidates that are gone through
  std::size_t kept_octets = 64 * 1024;        // of the client's, for replay
};

// One client's connection, from accept() to its end.
//
//   choosing -> connecting -> proving -> relaying
//                  ^   |         |
//                  +---+---------+   the next candidate; when all are through, a new list
//
// While proving, what the client says is kept and sent to the candidate. The candidate is replaced,
// and the kept octets are said again to the next one, when it
//   - refuses, or takes longer than connect_stall to accept: always, it has seen nothing;
//   - resets, closes, or does not acknowledge before its first octet: unless the octets are an HTTP
//     request that may act twice (ReplaySafety::unsafe) and the peer has acknowledged some of them;
//   - is silent for first_octet after the request: only if the octets are ReplaySafety::safe. It
//     still acknowledges, so it may be at work or be a service that is slow by nature; only a request
//     that is harmless to repeat is taken away from it.
// A candidate gets the request at most once. After the first octet, or when more than kept_octets
// have been said, the connection belongs to that peer: octets are passed on, the end of either
// direction is passed on as such, and a reset as a reset.
// A client that half-closed and whose peer then closes without a word has had its conversation.
// When every candidate and every new list is through, the client is reset (it sees the end of the
// stream instead if the last peer closed in good order), and one line is logged.
//
// Lives on its loop's thread.
class TcpConnection final : public std::enable_shared_from_this<TcpConnection> {
 public:
  struct Context {
    EventLoop& loop;
    OctetBudget& budget;
    PeerChooser& chooser;
    const TcpLimits& limits;
    std::function<void(const std::shared_ptr<TcpConnection>&)> ended;
  };

  // `context` outlives the connection. `client` is non-blocking. `not_answering` has been tried on the
  // client's behalf just now: of the first list it is the last choice.
  TcpConnection(Context& context, UniqueFd client, Target target,
                std::optional<SocketAddress> not_answering);
  ~TcpConnection();

  void begin();
  // Resets both ends. The daemon is going down.
  void abort();

 private:
  enum class Stage { choosing, connecting, proving, relaying, ended };

  // One end of the connection, as the loop knows it. Retired ends stay until the batch is through.
  struct End final : EventLoop::Handler {
    explicit End(TcpConnection* owner_of_end) : owner(owner_of_end) {}
    void on_ready(std::uint32_t events) override;
    TcpConnection* owner;  // null once retired
    Stream stream;
  };

  void advance();
  void wait_for_list(bool pause);
  void take_list(std::optional<PeerChooser::Order> order);
  void try_next();
  bool connect_to(const SocketAddress& peer);
  void wait_for_peer(std::chrono::milliseconds overdue);
  void connected();
  void prove();
  enum class Sent { all, blocked, failed };
  Sent send_kept();
  void read_client();
  void look_at_answer();
  void peer_failed(const std::string& reason, bool in_good_order);
  void watch_peer();
  void check_peer();
  bool peer_acknowledged_octets() const;
  void relay();
  void start_relaying();
  void give_up();
  void end(bool reset_client, bool reset_peer);
  void retire_peer(bool reset);
  const SocketAddress& peer() const { return order_[next_ - 1]; }

  Context& context_;
  const Target target_;
  const SteadyTime begun_;
  Stage stage_ = Stage::choosing;
  std::shared_ptr<End> client_, peer_;
  PeerChooser::Order order_;
  std::size_t next_ = 0;
  unsigned lists_ = 0;
  std::set<SocketAddress> spent_;  // have had the request
  std::optional<SocketAddress> not_answering_;
  std::string last_failure_ = "nobody serves it";
  bool closed_in_good_order_ = false;

  Bytes kept_;
  std::size_t kept_sent_ = 0;
  SteadyTime said_at_{};  // when the client's latest octets went to the peer
  bool client_ended_ = false, end_passed_on_ = false;
  EventLoop::TimerKey timer_{};

  TcpFlow upload_, download_;
  std::optional<BandwidthMeter> meter_;
};

}  // namespace mutua::resolver
