#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "resolver/discovery/discovery.h"
#include "resolver/event_loop/event_loop.h"
#include "resolver/redirect/address_book.h"
#include "resolver/redirect/connect_redirect.h"
#include "resolver/redirect/ipv6_prefix.h"
#include "resolver/redirect/relay.h"
#include "resolver/service/name_publisher.h"

namespace mutua::resolver {

struct NamesSettings {
  std::chrono::seconds answer_ttl{60};      // of a synthetic address, for whoever caches it
  std::chrono::seconds close_unused{3600};  // listeners without a lookup or a connection
  std::size_t listeners = 4096;             // over all names
  std::size_t restored_names = 256;         // of the last run, reopened at the start
  std::optional<Ipv6Prefix> ipv6;           // the names' IPv6 addresses, where there are any
};

struct LookupAnswer {
  enum class Status {
    found,
    not_held,     // real DNS has the word
    unavailable,  // the authority or a listener cannot serve it now
  };
  Status status = Status::not_held;
  Ipv4 address;
  std::optional<SocketAddress> ipv6;  // of port 0
  std::chrono::seconds ttl{0};
};

// hostname -> synthetic address, with a listener for every port of the service behind it.
// A name is answered only when all its ports are ours: otherwise a connection to it could reach
// another program of this machine that has the port on all addresses.
// Lives on the loop's thread.
class Names {
 public:
  // All outlive the names, which outlive their discovery's questions. `publisher` hears of every
  // name that is found, for as long as its answer may be cached. `redirect` may be null; otherwise
  // it is told which (address, TCP port)s are the relay's.
  Names(NamesSettings settings, EventLoop& loop, Discovery& discovery, Relay& relay,
        NamePublisher& publisher, AddressBook book, ConnectRedirect* redirect);

  // Reopens what was in use when the last run ended, and begins to close what is unused.
  void begin();

  // `done` runs once, on the loop's thread, perhaps before this returns.
  void lookup(const wire::Name& name, std::function<void(LookupAnswer)> done);
  // The name that has `address`; nothing where it is not synthetic or not given.
  std::optional<std::string> name_of(const SocketAddress& address) const;
  bool is_synthetic(const SocketAddress& address) const { return synthetic(address).has_value(); }

  // Somebody has connected to `address` at `time`, past the relay.
  void note_use(Ipv4 address, SteadyTime time);

  // What a connection to each open (synthetic IPv4 address, TCP port) is for.
  std::map<std::pair<Ipv4, std::uint16_t>, Target> tcp_services() const;

  struct Counts {
    std::size_t names = 0, listeners = 0;
  };
  Counts counts() const;

 private:
  struct Opened {
    std::string canonical;
    Ipv4 address;
    std::map<ServicePort, std::vector<Relay::Handle>> listeners;  // one for each family
    SteadyTime looked_up_at;
    bool failure_logged = false;
  };

  // The IPv4 form of a synthetic address.
  std::optional<Ipv4> synthetic(const SocketAddress& address) const;
  LookupAnswer described(const std::string& name,
                         const Result<Discovery::SharedDescription>& description);
  LookupAnswer open(const std::string& name, const std::string& canonical,
                    const std::vector<ServicePort>& ports);
  Result<void> open_listeners(Opened& opened, Ipv4 address, const std::vector<ServicePort>& ports);
  bool was_used_since(const Opened& opened, SteadyTime limit) const;
  bool is_in_use(const std::string& name) const;
  void close_listeners(Ipv4 address, ServicePort port, const std::vector<Relay::Handle>& listeners);
  void close(std::string name);
  void close_unused();
  bool make_room(std::size_t listeners);

  const NamesSettings settings_;
  EventLoop& loop_;
  Discovery& discovery_;
  Relay& relay_;
  NamePublisher& publisher_;
  ConnectRedirect* const redirect_;
  AddressBook book_;
  std::map<std::string, Opened> opened_;
  std::size_t listener_count_ = 0;
};

// In lower case without the final dot, as the address book keeps names.
std::string key_of(const wire::Name& name);

}  // namespace mutua::resolver
