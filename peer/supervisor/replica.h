#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "peer/directory/directory.h"
#include "peer/exchange/offers.h"
#include "peer/layers/blob_store.h"
#include "peer/ports/address_pool.h"
#include "peer/ports/host_ports.h"
#include "peer/registration/registrar.h"
#include "peer/supervisor/acquire.h"
#include "peer/supervisor/journal.h"
#include "peer/vm/machine.h"

namespace mutua::peer {

// What all replicas of a peer share. Everything outlives them and is thread-safe.
struct ReplicaSurroundings {
  const Directory& directory;
  const BlobStore& store;
  Offers& offers;
  Registrar& registrar;
  const vm::Engines& engines;
  std::string own_peer;
  std::vector<SocketAddress> addresses;  // where machines' ports are mapped; at least one, IPv4
  PortRange host_ports;
  AcquireLimits limits;
  std::chrono::milliseconds watch;  // how often the zone is looked at: manifest, bases
  std::filesystem::path machines;   // a folder; each service has its own below
};

enum class Phase {
  preparing,  // asking the zone, verifying
  fetching,
  booting,
  answering,  // the machine runs; its service does not answer yet
  committed,
  uncommitted,  // it answers, but the authority does not take the commitment yet
  waiting,      // something failed; the next attempt comes after a pause
  stopped,
};
const char* to_string(Phase phase);

struct ReplicaStatus {
  Phase phase = Phase::preparing;
  std::string detail;                     // the progress, or what went wrong
  std::optional<trust::Digest> manifest;  // of the machine
  std::string private_address;
  std::vector<vm::BoundPort> ports;
  unsigned memory_mib = 0;
  pid_t pid = -1;
  unsigned failures = 0;  // attempts that failed since the last time that it was committed
  unsigned restarts = 0;  // machines that ended by themselves
};

// One service's machine at this peer, from the fetch to the commitment, and again whenever it ends:
// it is restarted with growing pauses, and its commitment is withdrawn meanwhile. A new manifest in
// the zone is fetched and its machine brought up while the old one serves; once the new one is
// committed, the old one goes on for those who hold its address, half a minute. For that time the
// service has two machines here. A revoked base stops it.
// Runs on a thread of its own from construction to destruction; the machine ends before that.
class Replica {
 public:
  // `on_held` is called on the replica's thread when a snapshot is whole in the store; after it
  // returns the promise to keep that snapshot is durable.
  Replica(const ReplicaSurroundings& surroundings, JournalEntry entry, AddressPool::Lease place,
          std::function<Result<void>(const JournalEntry::Held&)> on_held);
  ~Replica();

  // Asks it to end, without waiting for it; the destructor waits.
  void request_stop();
  // Looks at the zone now, rather than at the next watch.
  void wake();
  // What an owner has just published is in the store already. Then wake().
  void adopt(const JournalEntry::Held& held);

  ReplicaStatus status() const;
  // Waits until the status differs from the one of `version`, at most `timeout`; returns the
  // version then.
  std::uint64_t wait_change(std::uint64_t version, std::chrono::milliseconds timeout) const;

  static std::filesystem::path console_log(const std::filesystem::path& machines,
                                           const std::string& service);

 private:
  // A snapshot and the machine that it became.
  struct Incarnation {
    LocalSnapshot snapshot;
    std::unique_ptr<vm::Machine> machine;
  };
  struct Retired {
    std::unique_ptr<vm::Machine> machine;
    std::chrono::steady_clock::time_point until;
  };

  void run(std::stop_token stop);
  Result<void> run_once(std::stop_token stop);
  Result<LocalSnapshot> obtain(std::stop_token stop);
  // The machine of a snapshot, once it answers.
  Result<Incarnation> bring_up(LocalSnapshot snapshot, std::stop_token stop);
  Result<std::unique_ptr<vm::Machine>> start_machine(const LocalSnapshot& snapshot,
                                                     const std::filesystem::path& scratch,
                                                     std::stop_token stop);
  Result<void> await_answer(vm::Machine& machine, const LocalSnapshot& snapshot,
                            std::stop_token stop);
  Result<void> commit_all(const Incarnation& incarnation);
  // Commits, and says how that went.
  bool commit(const Incarnation& incarnation);
  // Until the machine ends or the zone wants none (an error), or `stop`.
  Result<void> serve(Incarnation& current, std::stop_token stop);
  // The snapshot that shall take this one's place, if there is one.
  Result<std::optional<LocalSnapshot>> look_at_zone(const LocalSnapshot& snapshot,
                                                    std::stop_token stop);
  // The newer snapshot's machine takes over; where it fails, the current one goes on.
  void replace(Incarnation& current, LocalSnapshot newer, std::stop_token stop);
  void note_roll_over_failure(const Error& error);
  void set_phase(Phase phase);
  void end_retired(bool all);
  void show(const Incarnation& incarnation);
  void end(vm::Machine& machine);
  enum class Event { none, machine, woken };
  // Waits for the machine's events or wake(), at most `timeout`.
  Event wait_event(vm::Machine* machine, std::chrono::milliseconds timeout);

  template <typename Change>
  void update(Change change);

  const ReplicaSurroundings& surroundings_;
  JournalEntry entry_;
  wire::Name name_;
  AddressPool::Lease place_;
  std::function<Result<void>(const JournalEntry::Held&)> on_held_;
  std::filesystem::path folder_;
  UniqueFd wake_;
  std::optional<std::chrono::steady_clock::time_point> serving_since_;
  std::vector<Retired> retired_;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::uint64_t version_ = 1;
  ReplicaStatus status_;
  std::optional<JournalEntry::Held> adopted_;
  std::jthread thread_;  // last: it uses everything above
};

}  // namespace mutua::peer
