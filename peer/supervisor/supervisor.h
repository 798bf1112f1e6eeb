#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "peer/audit/auditor.h"
#include "peer/directory/directory.h"
#include "peer/exchange/server.h"
#include "peer/layers/blob_store.h"
#include "peer/ports/address_pool.h"
#include "peer/registration/owner_updates.h"
#include "peer/registration/registrar.h"
#include "peer/scrapbook/scrapbook.h"
#include "peer/supervisor/journal.h"
#include "peer/supervisor/replica.h"
#include "peer/vm/machine.h"
#include "trust/key.h"

namespace mutua::peer {

struct SupervisorSettings {
  std::filesystem::path state;
  wire::Name zone;
  std::vector<SocketAddress> authorities;
  std::vector<SocketAddress> addresses;  // port 0; at least one
  std::uint16_t exchange_port = 0;       // 0: a free one
  PortRange host_ports;
  std::chrono::seconds lease{60};
  unsigned capacity = 8;
  unsigned memory_limit_mib = 256;
  bool allow_outbound = false;
  std::uint64_t snapshot_limit_bytes = 4ULL << 30;
  std::chrono::milliseconds watch{15'000};
};

// What `mutua publish` asks for.
struct PublishRequest {
  std::string service;
  // A machine that boots from these, or, where it is named, one of the scrapbook that goes on.
  ImageFiles files;
  std::string snapshot;
  // Ports, checks, admission and the rest are those of the service as it is published now.
  bool update = false;
  std::string engine = "uml";
  std::vector<ServicePort> ports;  // empty: those of the snapshot
  bool own_identity = false;
  unsigned memory_mib = 64;
  bool outbound = false;
  std::string admission = "audited";
  std::vector<std::string> checks;  // empty: http:/ where it has port 80/tcp, tcp: otherwise
  std::chrono::milliseconds every{10'000};
  bool run_here = true;
};

struct ServiceStatus {
  JournalEntry entry;
  std::optional<ReplicaStatus> replica;  // none where no machine runs here
  std::string commitment_problem;        // of the last renewal
};

// The flows of a peer: publish, host, audit, withdraw. Owns every machine, its place and its
// commitment; keeps in a journal what was promised, and takes it up again at the next start.
// Thread-safe: each control request runs its flow on its own thread; one flow for each service at a
// time. Lives until shut_down().
class Supervisor {
 public:
  // Starts everything that the journal holds. The engines and `clock` must outlive it.
  static Result<std::unique_ptr<Supervisor>> create(SupervisorSettings settings,
                                                    trust::PrivateKey key, vm::Engines engines,
                                                    const Clock& clock);
  ~Supervisor();

  // Makes waiting flows return. Nothing new begins.
  void begin_shutdown();
  // Takes the commitments out of the zone, stops the machines.
  void shut_down();

  // Makes and signs a snapshot, claims the name or describes it anew, offers it, and runs a replica
  // here unless told otherwise; then waits until that is committed.
  Result<ServiceStatus> publish(const PublishRequest& request, const StepReport& report);
  // Fetches, verifies, runs, commits. A first attempt that fails is undone.
  Result<ServiceStatus> host(const std::string& service, const StepReport& report);
  // Ends this peer's replica. An owner goes on to offer and audit its service.
  Result<void> stop(const std::string& service, const StepReport& report);
  // An owner's end of a service: its name is given back.
  Result<void> withdraw(const std::string& service, const StepReport& report);

  std::vector<ServiceStatus> services() const;
  std::filesystem::path console_log(const std::string& service) const;
  // Of an owner: one round of checks now; what the last round found.
  Result<std::vector<ReplicaReport>> audit(const std::string& service);
  // Of anybody: who commits to a service and who is served.
  struct ReplicaView {
    std::string peer, address;
    bool current = false, served = false;
    std::optional<ReplicaReport> last_audit;  // where this peer is the owner
  };
  Result<std::vector<ReplicaView>> replicas(const std::string& service);
  // By the owner's hand.
  Result<void> admit(const std::string& service, const std::string& peer);
  Result<void> deny(const std::string& service, const std::string& peer, const std::string& reason);

  // The owner's machines and snapshots.
  Scrapbook& scrapbook() { return *scrapbook_; }
  // Removes a snapshot, and of its blobs those that nothing else needs.
  Result<void> remove_snapshot(const std::string& name);

  const std::string& peer() const { return peer_; }
  trust::PublicKey public_key() const { return key_.public_key(); }
  std::uint16_t exchange_port() const { return exchange_->port(); }
  Registrar::Status registration() const { return registrar_->status(); }
  const SupervisorSettings& settings() const { return settings_; }

 private:
  struct Service {
    JournalEntry entry;
    std::shared_ptr<Replica> replica;
    std::shared_ptr<Auditor> auditor;
  };
  class Flow;

  Supervisor(SupervisorSettings settings, trust::PrivateKey key, vm::Engines engines,
             const Clock& clock, BlobStore store, Journal journal);
  Result<void> start();
  Result<std::set<trust::Digest>> needed_blobs() const;
  Result<PublishRequest> complete(PublishRequest request, const std::optional<Service>& former,
                                  const std::optional<Page>& page) const;
  // Offers the snapshot and names it in the zone; where that fails, what was offered stays.
  Result<void> claim(const wire::Name& name, const PublishRequest& request,
                     const std::optional<Service>& former, const LocalSnapshot& snapshot);
  Result<void> take_up(const JournalEntry& entry);
  Result<std::shared_ptr<Replica>> start_replica(const JournalEntry& entry);
  std::shared_ptr<Auditor> start_auditor(const JournalEntry& entry, const SnapshotConfig& config);
  // Until a machine here is committed to: of this manifest, where one is given.
  Result<ServiceStatus> await_commitment(const std::string& service,
                                         const std::optional<trust::Digest>& manifest,
                                         const StepReport& report);
  Result<void> remember_held(const std::string& service, const JournalEntry::Held& held);
  void write_layout_index();
  std::optional<Service> find(const std::string& service) const;
  Result<Service> find_own(const std::string& service) const;
  ServiceStatus status_of(const Service& service) const;
  void put(const std::string& service, Service value);
  // Leaves the rest of the service as it is: the replica's thread may have changed its entry.
  void set_replica(const std::string& service, std::shared_ptr<Replica> replica);
  void remove(const std::string& service);

  const SupervisorSettings settings_;
  const trust::PrivateKey key_;
  const std::string peer_;
  const Clock& clock_;
  const BlobStore store_;
  const Journal journal_;
  const ZoneNames names_;
  const Directory directory_;
  Offers offers_;
  AddressPool places_;
  UpdateClient updates_;
  OwnerUpdates owner_updates_;
  std::unique_ptr<ExchangeServer> exchange_;
  std::unique_ptr<Registrar> registrar_;
  const vm::Engines engines_;
  std::unique_ptr<Scrapbook> scrapbook_;
  std::optional<ReplicaSurroundings> surroundings_;
  std::atomic<bool> stopping_ = false;
  std::mutex index_mutex_;

  mutable std::mutex mutex_;
  std::set<std::string> flows_;              // services with a flow under way
  std::map<std::string, Service> services_;  // last: replicas and auditors use all above
};

}  // namespace mutua::peer
