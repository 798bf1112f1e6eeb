#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "authority/transfer/message_stream.h"
#include "authority/transfer/transfer_rules.h"
#include "authority/zone/catalog.h"
#include "authority/zone/change_history.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/replaceable.h"
#include "base/socket_address.h"

namespace mutua::authority {

// Answers AXFR and IXFR over TCP (RFC 5936, RFC 1995) with the zone as it is when the request comes.
// An IXFR from a serial that the history does not reach back to, or that is answered more cheaply
// so, gets the whole zone. Thread-safe.
class TransferService {
 public:
  // All references outlive the service and its streams.
  TransferService(TransferConfig config, const Catalog& catalog, const ChangeHistory& history,
                  const Clock& clock)
      : config_(std::move(config)), zones_{{&catalog, &history}}, clock_(clock) {}
  // Other rules and keys, for requests that come from now on.
  void replace(TransferConfig config) { config_.replace(std::move(config)); }
  // Another zone, for the same secondaries. Before the first request.
  void add(const Catalog& catalog, const ChangeHistory& history) {
    zones_.push_back({&catalog, &history});
  }

  // `message`: a query of type AXFR or IXFR. What is refused gets a stream of one message that says
  // why; a TSIG is checked and answered by one (RFC 8945).
  // `tls`: the request came over TLS (RFC 9103).
  std::unique_ptr<MessageStream> begin(BytesView message, const SocketAddress& source,
                                       bool tls) const;

 private:
  struct Zone {
    const Catalog* catalog;
    const ChangeHistory* history;
  };
  const Zone* find(const wire::Name& apex) const;

  Replaceable<TransferConfig> config_;
  std::vector<Zone> zones_;
  const Clock& clock_;
};

}  // namespace mutua::authority
