#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/socket_address.h"
#include "base/unique_fd.h"
#include "resolver/discovery/discovery.h"
#include "resolver/event_loop/event_loop.h"
#include "resolver/service/names.h"
#include "wire/name.h"

namespace mutua::resolver {

// A DNS listener (UDP and TCP, RFC 1035, 7766) for programs that do not go through NSS: names of the
// federation get their synthetic address; what else lies at or below the zone is passed to the
// authority; everything else to real DNS. What is passed on comes back octet for octet, unless it is
// too long for the client's datagram: then TC is set. Where answers about the zone are proven, only
// those are given; to clients that check by themselves (CD) the others too.
// Bounds: 1000 questions under way (further ones are dropped, as UDP may), 128 TCP connections with
// at most 32 questions under way each, 10 s of idleness, 64 KiB messages.
// Lives on the loop's thread.
class StubServer final {
 public:
  struct Sources {
    Names& names;
    Discovery& discovery;
    Ask authority, real_dns;
    AskZone proven;  // empty where nothing of the zone is
    wire::Name zone;
  };

  // All sources outlive the server's loop.
  static Result<std::unique_ptr<StubServer>> create(const std::vector<SocketAddress>& addresses,
                                                    EventLoop& loop, Sources sources);
  ~StubServer();

 private:
  class UdpSocket;
  class TcpSocket;
  class TcpClient;
  using Reply = std::function<void(Bytes response)>;

  StubServer(EventLoop& loop, Sources sources);
  Result<void> listen(const SocketAddress& address);
  // `reply` runs on the loop's thread, once. False, and no reply, for what deserves none.
  bool handle(BytesView message, bool over_udp, Reply reply);
  void lookup_or_pass_on(Bytes message, wire::Message query, Reply reply);
  void pass_on(Bytes message, wire::Message query, Reply reply);
  void forget(TcpClient& client);

  EventLoop& loop_;
  const Sources sources_;
  std::vector<std::unique_ptr<UdpSocket>> udp_;
  std::vector<std::unique_ptr<TcpSocket>> tcp_;
  std::unordered_map<TcpClient*, std::shared_ptr<TcpClient>> clients_;
  std::size_t under_way_ = 0;
  // Replies that come after the end of the server find this gone.
  std::shared_ptr<StubServer*> self_;
};

}  // namespace mutua::resolver
