#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "authority/dnssec/key_keeper.h"
#include "authority/dnssec/rrsig.h"
#include "authority/federation/policy.h"
#include "authority/store/zone_store.h"
#include "authority/zone/catalog.h"
#include "authority/zone/change_history.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/counter.h"
#include "base/result.h"
#include "base/socket_address.h"
#include "wire/tsig_key.h"

namespace mutua::authority {

// One DNS UPDATE as it came from the network.
struct UpdateRequest {
  Bytes message;  // raw: signatures cover bytes
  SocketAddress source;
  bool tcp = false;
  // Called exactly once, on the writer's thread (or inside submit(), see there), with the response
  // in wire format; empty bytes mean that nothing may be sent (a message with QR set, or shorter
  // than a header). Must not block and must not call the writer.
  std::function<void(Bytes)> reply;
};

// What becomes of a zone that is signed already where no keys are configured: its signatures would
// go stale with the first change.
enum class WithoutKeys {
  refuse,  // the writer does not start, and says what to do
  keep,    // they are data like any other: the zone was signed elsewhere and does not change here
  remove,  // the zone is made an unsigned one
};

struct WriterConfig {
  std::vector<wire::TsigKey> tsig_keys;
  // The zone is signed with them; outlives the writer, which alone uses it.
  KeyKeeper* keys = nullptr;
  WithoutKeys without_keys = WithoutKeys::refuse;
  SignatureTimes signature_times;
  Denial denial = Denial::nsec;  // the chain that the zone has or gets
  // The zone carries its digest (RFC 8976), made anew at most this often: a digest is over the whole
  // zone, and updates wait for it. Whatever changes the zone takes the old one out. Nothing: none.
  std::optional<std::chrono::milliseconds> digest_pause;
  FederationPolicy federation;
  std::size_t queue_limit = 4096;  // requests that wait; one source gets a quarter of it
  std::size_t group_limit = 64;    // requests that share one durable commit
  // Called on the writer's thread each time that new versions were published, after the requests
  // that made them were answered. Must not block. May be empty.
  std::function<void()> published;
};

// What the writer has done; read by any thread.
struct WriterCounters {
  Counter executed, refused, unauthenticated;
  Counter repeated;  // the same octets from the same place: the answer went out once more
  Counter commits, commit_failures, commit_microseconds;
  Counter signature_checks;
};

// The only mutator of the zone. One thread takes the requests in order: parse, authenticate,
// permit, update, derive the served lists, sign, commit durably, publish, reply. Leases lapse and
// signatures are renewed on the same thread, by the wall clock; where many are to be made (the first
// signing of a zone), a portion at a time, with updates between. Whatever waits is grouped into one
// durable commit; each update stays atomic by itself and has its own serial.
//
// Where a commit fails, everything in memory is taken from the store again and the requests of the
// group are answered SERVFAIL: what was published was always durable before.
class Writer {
 public:
  // Loads the zone from `store`, which must hold one (see import_zone), removes what expired while
  // nobody ran, derives the served lists, commits, and publishes the first version. Fails where
  // the store cannot be read or written. All references must outlive the writer.
  static Result<std::unique_ptr<Writer>> create(ZoneStore& store, WriterConfig config,
                                                const Clock& clock);
  ~Writer();  // stops

  // Where the versions are published; it holds one from the start. Lives as long as the writer.
  Catalog& catalog();

  // What led to the newest version; begins with what the store's journal holds. Lives as long.
  const ChangeHistory& history() const;

  const WriterCounters& counters() const;

  // Starts the thread.
  void start();
  // Answers what is queued, then ends the thread. Requests that come later are not taken.
  void stop();

  // Other keys of operators, for groups of requests that are begun from now on. Thread-safe.
  void replace_tsig_keys(std::vector<wire::TsigKey> keys);

  // Whether submit() would look at this datagram at all now: a flood of bad signatures ends here,
  // before it costs anything. Thread-safe, never blocks.
  bool admits_datagram(BytesView message) const;

  // Queues a request. Thread-safe, never blocks. False where the queue (or this source's share of
  // it) is full or the writer has stopped: the request is gone, `reply` was not called, and the
  // caller drops it (UDP) or closes the connection (TCP), so that the client tries again.
  [[nodiscard]] bool submit(UpdateRequest request);

  // Does on the caller's thread all that is due: requests that wait and leases that lapsed. For
  // tests that never called start().
  void process_now();

 private:
  struct State;
  explicit Writer(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace mutua::authority
