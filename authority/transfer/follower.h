#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "authority/store/zone_store.h"
#include "authority/zone/catalog.h"
#include "authority/zone/change_history.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/socket_address.h"
#include "wire/tsig_key.h"
#include "zone_transfer/incoming_transfer.h"

namespace mutua::authority {

// Where the zone comes from. Without a key anybody on the way could change it: the configuration has
// to ask for that by its name.
struct Primary {
  SocketAddress address;
  std::optional<wire::TsigKey> key;
};

struct FollowerConfig {
  std::vector<Primary> primaries;  // asked in this order until one has something newer
  zone_transfer::IncomingLimits limits;
  std::chrono::seconds message_patience{20};  // for each message and for the connection
  std::chrono::minutes transfer_patience{60};
  // What the SOA says of refresh and retry counts within these bounds.
  std::chrono::seconds least_wait{2}, longest_wait{std::chrono::hours(24)};
  // Between two looks at the primaries, however many NOTIFYs come.
  std::chrono::milliseconds least_pause{20};
  // Called on the follower's thread when new versions were published. Must not block. May be empty.
  std::function<void()> published;
};

// Keeps the zone that others write: the mutator of a secondary. One thread looks for a newer serial
// when a primary says so (NOTIFY, RFC 1996), and by the SOA's refresh and retry; takes it by IXFR or
// AXFR; verifies it whole, commits it durably and publishes it. A transfer that is cut, late, unsigned
// or wrong in any way leaves everything as it was. Once the SOA's expire has passed without any primary
// to be reached, the zone answers SERVFAIL (RFC 1035 section 3.3.13), as it does before the first
// transfer. (A restart begins that wait anew.)
class Follower {
 public:
  // Publishes what `store` holds, if anything. References outlive the follower.
  static Result<std::unique_ptr<Follower>> create(ZoneStore& store, const wire::Name& zone,
                                                  FollowerConfig config, const Clock& clock);
  virtual ~Follower() = default;  // stops

  virtual Catalog& catalog() = 0;
  virtual const ChangeHistory& history() const = 0;
  virtual void start() = 0;
  virtual void stop() = 0;

  // The response to a message that only a writer or a follower can deal with: a NOTIFY from a primary
  // (signed, where it has a key) is acknowledged and looked into; others' NOTIFYs and every UPDATE
  // are refused. Empty where nothing may be sent. Any thread, never blocks.
  virtual Bytes answer(BytesView message, const SocketAddress& source) = 0;

  // Other primaries, or others of their keys, from the next look on, which is at once. Any thread.
  virtual void replace_primaries(std::vector<Primary> primaries) = 0;

  // Looks at the primaries now, on the caller's thread: for tests that never called start(). Fails
  // where none could be followed.
  virtual Result<void> refresh_now() = 0;
};

}  // namespace mutua::authority
