#include "peer/supervisor/supervisor.h"

#include <algorithm>

#include "base/log.h"
#include "peer/layers/image_layout.h"
#include "peer/supervisor/sign_snapshot.h"
#include "trust/peer_id.h"

namespace mutua::peer {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::minutes kCommitTimeout{15};
constexpr milliseconds kReportInterval{500};

std::string join_ports(const std::vector<ServicePort>& ports) {
  std::string joined;
  for (const ServicePort& port : ports) joined += (joined.empty() ? "" : ",") + port.to_text();
  return joined;
}

std::set<std::string> names_of(const vm::Engines& engines) {
  std::set<std::string> names;
  for (const auto& [name, engine] : engines) names.insert(name);
  return names;
}

std::vector<std::string> default_checks(const std::vector<ServicePort>& ports) {
  if (std::ranges::find(ports, ServicePort{80, Transport::tcp}) != ports.end()) return {"http:/"};
  const bool has_tcp =
      std::ranges::find(ports, Transport::tcp, &ServicePort::transport) != ports.end();
  return has_tcp ? std::vector<std::string>{"tcp:"} : std::vector<std::string>{};
}

std::optional<std::uint16_t> first_tcp_port(const SnapshotConfig& config) {
  for (const ServicePort& port : config.ports) {
    if (port.transport == Transport::tcp) return port.number;
  }
  return std::nullopt;
}

Result<SnapshotConfig> config_of(const PublishRequest& request, const std::optional<Page>& page) {
  SnapshotConfig config;
  config.service = request.service;
  config.memory_mib = request.memory_mib;
  config.engine = request.engine;
  if (page) config.address = page->address;
  config.own_identity = request.own_identity;
  config.outbound = request.outbound;
  config.ports = request.ports;
  for (const std::string& text : request.checks) {
    const Check check = TRY(Check::parse(text));
    if (check.is_public()) config.checks.push_back(text);
  }
  return config;
}

}  // namespace

// One flow for a service at a time. Ended by destruction.
class Supervisor::Flow {
 public:
  static Result<std::unique_ptr<Flow>> begin(Supervisor& supervisor, const std::string& service) {
    const std::lock_guard lock(supervisor.mutex_);
    if (supervisor.stopping_) return Error("the peer is shutting down");
    if (!supervisor.flows_.insert(service).second) {
      return Error("another command for " + service + " is under way");
    }
    return std::unique_ptr<Flow>(new Flow(supervisor, service));
  }
  ~Flow() {
    const std::lock_guard lock(supervisor_.mutex_);
    supervisor_.flows_.erase(service_);
  }
  Flow(const Flow&) = delete;
  Flow& operator=(const Flow&) = delete;

 private:
  Flow(Supervisor& supervisor, std::string service)
      : supervisor_(supervisor), service_(std::move(service)) {}
  Supervisor& supervisor_;
  std::string service_;
};

Supervisor::Supervisor(SupervisorSettings settings, trust::PrivateKey key, vm::Engines engines,
                       const Clock& clock, BlobStore store, Journal journal)
    : settings_(std::move(settings)),
      key_(std::move(key)),
      peer_(trust::peer_id(key_.public_key())),
      clock_(clock),
      store_(std::move(store)),
      journal_(std::move(journal)),
      names_(settings_.zone),
      directory_(names_, settings_.authorities),
      places_(settings_.capacity),
      updates_(key_, settings_.authorities, settings_.state / "peer.inception", clock_),
      owner_updates_(updates_, names_),
      engines_(std::move(engines)) {}

Supervisor::~Supervisor() { shut_down(); }

Result<std::unique_ptr<Supervisor>> Supervisor::create(SupervisorSettings settings,
                                                       trust::PrivateKey key, vm::Engines engines,
                                                       const Clock& clock) {
  BlobStore store = TRY(BlobStore::open(settings.state));
  Journal journal = TRY(Journal::open(settings.state / "services"));
  std::unique_ptr<Supervisor> supervisor(new Supervisor(std::move(settings), std::move(key),
                                                        std::move(engines), clock, std::move(store),
                                                        std::move(journal)));
  TRY(supervisor->start());
  return supervisor;
}

Result<void> Supervisor::start() {
  scrapbook_ = TRY(Scrapbook::open(settings_.state / "scrapbook", store_, engines_, clock_));
  const std::vector<JournalEntry> entries = TRY(journal_.load());
  const std::set<trust::Digest> needed = TRY(needed_blobs());
  const std::size_t removed = TRY(store_.remove_unreferenced(needed));
  if (removed > 0) log::info("layers.cleaned", {{"removed", removed}});

  std::vector<SocketAddress> listen = settings_.addresses;
  for (SocketAddress& address : listen) address.set_port(settings_.exchange_port);
  exchange_ = TRY(ExchangeServer::create(std::move(listen), store_, offers_));
  registrar_ = std::make_unique<Registrar>(
      updates_,
      SrpMessages(names_,
                  {key_.public_key(), settings_.addresses, exchange_->port(), settings_.capacity},
                  settings_.lease),
      settings_.lease);
  surroundings_.emplace(
      ReplicaSurroundings{directory_,
                          store_,
                          offers_,
                          *registrar_,
                          engines_,
                          peer_,
                          settings_.addresses,
                          settings_.host_ports,
                          {settings_.snapshot_limit_bytes, settings_.memory_limit_mib,
                           settings_.allow_outbound, names_of(engines_)},
                          settings_.watch,
                          settings_.state / "machines"});
  registrar_->start();
  for (const JournalEntry& entry : entries) {
    if (auto taken = take_up(entry); !taken.ok()) {
      log::error("service.not_taken_up",
                 {{"service", entry.service}, {"reason", taken.error().message()}});
    }
  }
  write_layout_index();
  return {};
}

// What the journal and the scrapbook name.
Result<std::set<trust::Digest>> Supervisor::needed_blobs() const {
  std::set<trust::Digest> needed = TRY(scrapbook_->digests());
  const std::vector<JournalEntry> entries = TRY(journal_.load());
  for (const JournalEntry& entry : entries) {
    if (entry.held) needed.merge(digests_of(store_, *entry.held));
  }
  return needed;
}

// Kernel and base disk stay until the next start: others may be fetching what stands on them.
Result<void> Supervisor::remove_snapshot(const std::string& name) {
  const Page page = TRY(scrapbook_->remove(name));
  const std::set<trust::Digest> needed = TRY(needed_blobs());
  for (const trust::Digest& digest : digests_of(page.layers)) {
    const bool is_base =
        digest == page.layers.kernel.digest || digest == page.layers.base_disk.digest;
    if (!is_base && !needed.contains(digest)) TRY(store_.remove(digest));
  }
  return {};
}

// A promise of before the restart.
Result<void> Supervisor::take_up(const JournalEntry& entry) {
  Service service{entry, nullptr, nullptr};
  if (entry.role == Role::owner && entry.held) {
    const auto snapshot = load_local(store_, entry.service, *entry.held, key_.public_key());
    if (!snapshot.ok()) return snapshot.error();
    offers_.set(entry.service, snapshot->offer());
    service.auditor = start_auditor(entry, snapshot->config);
  }
  put(entry.service, service);
  if (entry.runs_here) {
    set_replica(entry.service, TRY(start_replica(entry)));
  }
  log::info("service.taken_up", {{"service", entry.service}});
  return {};
}

void Supervisor::begin_shutdown() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
}

void Supervisor::shut_down() {
  begin_shutdown();
  // Clients go elsewhere first.
  if (registrar_) registrar_->stop_and_withdraw();
  std::map<std::string, Service> ended;
  {
    const std::lock_guard lock(mutex_);
    ended.swap(services_);
  }
  for (auto& [name, service] : ended) {
    if (service.replica) service.replica->request_stop();
  }
  ended.clear();
  registrar_.reset();
  exchange_.reset();
}

std::optional<Supervisor::Service> Supervisor::find(const std::string& service) const {
  const std::lock_guard lock(mutex_);
  const auto found = services_.find(service);
  if (found == services_.end()) return std::nullopt;
  return found->second;
}

Result<Supervisor::Service> Supervisor::find_own(const std::string& service) const {
  auto found = find(service);
  if (!found || found->entry.role != Role::owner) {
    return Error(service + " is not published by this peer");
  }
  return std::move(*found);
}

void Supervisor::put(const std::string& service, Service value) {
  Service former;  // destroyed outside the lock: a replica ends with its machine
  const std::lock_guard lock(mutex_);
  std::swap(services_[service], value);
  former = std::move(value);
}

void Supervisor::set_replica(const std::string& service, std::shared_ptr<Replica> replica) {
  const std::lock_guard lock(mutex_);
  std::swap(services_[service].replica, replica);
}

void Supervisor::remove(const std::string& service) {
  Service former;
  const std::lock_guard lock(mutex_);
  const auto found = services_.find(service);
  if (found == services_.end()) return;
  former = std::move(found->second);
  services_.erase(found);
}

Result<std::shared_ptr<Replica>> Supervisor::start_replica(const JournalEntry& entry) {
  AddressPool::Lease place = TRY(places_.take());
  return std::make_shared<Replica>(*surroundings_, entry, std::move(place),
                                   [this, service = entry.service](const JournalEntry::Held& held) {
                                     return remember_held(service, held);
                                   });
}

std::shared_ptr<Auditor> Supervisor::start_auditor(const JournalEntry& entry,
                                                   const SnapshotConfig& config) {
  const auto port = first_tcp_port(config);
  const auto name = names_.service(entry.service);
  if (!port || !name.ok() || entry.checks.empty()) return nullptr;
  Auditor::Settings settings;
  settings.hostname = entry.service;
  settings.service = *name;
  settings.port = *port;
  settings.owner = peer_;
  settings.admission = entry.admission;
  settings.every = entry.every;
  for (const std::string& text : entry.checks) {
    if (auto check = Check::parse(text); check.ok()) settings.checks.push_back(std::move(*check));
  }
  return std::make_shared<Auditor>(std::move(settings), directory_, owner_updates_);
}

Result<void> Supervisor::remember_held(const std::string& service, const JournalEntry::Held& held) {
  {
    // Journaled under the lock: a service that stop() takes out of the map is never journaled
    // again.
    const std::lock_guard lock(mutex_);
    const auto found = services_.find(service);
    if (found == services_.end()) return Error(service + " was given up meanwhile");
    found->second.entry.held = held;
    TRY(journal_.put(found->second.entry));
  }
  write_layout_index();
  return {};
}

// For other tools' eyes only, so a failure harms nothing here.
void Supervisor::write_layout_index() {
  const std::lock_guard one_at_a_time(index_mutex_);
  std::vector<LayoutEntry> entries;
  for (const ServiceStatus& status : services()) {
    if (!status.entry.held) continue;
    const auto size_bytes = store_.size(status.entry.held->manifest);
    if (!size_bytes.ok()) continue;
    entries.push_back({status.entry.service, std::string(media_type::image_manifest),
                       status.entry.held->manifest, *size_bytes});
  }
  if (auto written = write_index(store_, entries); !written.ok()) {
    log::warning("layers.index_failed", {{"reason", written.error().message()}});
  }
}

// What the request leaves open, from the service as it is and from the snapshot.
Result<PublishRequest> Supervisor::complete(PublishRequest request,
                                            const std::optional<Service>& former,
                                            const std::optional<Page>& page) const {
  if (page) {
    request.engine = page->engine;
    request.memory_mib = page->memory_mib;
    request.outbound = page->outbound;
    if (request.ports.empty()) request.ports = page->ports;
  }
  if (!request.update) {
    if (request.ports.empty()) return Error("publish " + request.service + ": no port is given");
    if (request.checks.empty()) request.checks = default_checks(request.ports);
    return request;
  }
  if (!former || !former->entry.held) {
    return Error(request.service + " is not published by this peer; publish it without --update");
  }
  const LocalSnapshot current =
      TRY(load_local(store_, request.service, *former->entry.held, key_.public_key()));
  request.ports = current.config.ports;
  request.own_identity = current.config.own_identity;
  request.checks = former->entry.checks;
  request.admission = former->entry.admission;
  request.every = former->entry.every;
  request.run_here = former->entry.runs_here;
  return request;
}

Result<void> Supervisor::claim(const wire::Name& name, const PublishRequest& request,
                               const std::optional<Service>& former,
                               const LocalSnapshot& snapshot) {
  // Offered before it is named in the zone, so that whoever reads the zone finds it.
  offers_.set(request.service, snapshot.offer());
  // Replicas of the snapshot before are served until theirs are replaced.
  std::optional<trust::Digest> previous;
  if (former && former->entry.held) previous = former->entry.held->manifest;
  if (previous == snapshot.manifest.digest()) previous.reset();
  const auto claimed =
      owner_updates_.publish(name, {snapshot.manifest.digest(), previous, snapshot.config.bases,
                                    join_ports(request.ports), request.admission});
  if (!claimed.ok()) {
    offers_.remove(request.service);
    if (former && former->entry.held) {
      const auto restored =
          load_local(store_, request.service, *former->entry.held, key_.public_key());
      if (restored.ok()) offers_.set(request.service, restored->offer());
    }
  }
  return claimed;
}

Result<ServiceStatus> Supervisor::publish(const PublishRequest& asked, const StepReport& report) {
  const auto flow = TRY(Flow::begin(*this, asked.service));
  const wire::Name name = TRY(names_.service(asked.service));
  auto former = find(asked.service);
  if (former && former->entry.role != Role::owner) {
    return Error(asked.service + " is hosted here for another owner; 'mutua stop' it first");
  }
  std::optional<Page> page;
  if (!asked.snapshot.empty()) page = TRY(scrapbook_->snapshot(asked.snapshot));
  const PublishRequest request = TRY(complete(asked, former, page));
  const SnapshotConfig config = TRY(config_of(request, page));
  if (request.run_here) TRY(check_limits(config, surroundings_->limits));
  const SnapshotLayers layers =
      page ? page->layers : TRY(capture_image(store_, request.files, settings_.state, report));
  report("signing");
  const LocalSnapshot snapshot = TRY(sign_snapshot(store_, key_, layers, config, clock_));
  const std::string untrusted = TRY(untrusted_base(directory_, snapshot.manifest.base_labels()));
  if (!untrusted.empty()) return Error("publish " + request.service + ": " + untrusted);

  report("claiming " + request.service);
  TRY(claim(name, request, former, snapshot));
  JournalEntry entry{request.service,   Role::owner,    request.run_here, snapshot.held(),
                     request.admission, request.checks, request.every};
  TRY(journal_.put(entry));
  // The former replica, where there is one, brings the new machine up beside the old one.
  Service service{entry, nullptr, nullptr};
  if (former && request.run_here) service.replica = former->replica;
  if (former && former->replica && !request.run_here) former->replica->request_stop();
  put(request.service, service);
  former.reset();
  service.auditor = start_auditor(entry, snapshot.config);
  put(request.service, service);
  write_layout_index();
  if (!request.run_here) return status_of(service);
  if (service.replica) {
    service.replica->adopt(snapshot.held());
  } else {
    set_replica(request.service, TRY(start_replica(entry)));
  }
  return await_commitment(request.service, snapshot.manifest.digest(), report);
}

Result<ServiceStatus> Supervisor::host(const std::string& service, const StepReport& report) {
  const auto flow = TRY(Flow::begin(*this, service));
  if (const auto existing = find(service); existing && existing->replica) {
    existing->replica->wake();
    return await_commitment(service, std::nullopt, report);
  }
  const auto known = find(service);
  Service value = known.value_or(Service{});
  value.entry.service = service;
  value.entry.runs_here = true;
  // The promise is durable before the zone shows it; the replica's first entry comes after this.
  TRY(journal_.put(value.entry));
  put(service, value);
  Result<ServiceStatus> committed = Error("not started");
  if (auto replica = start_replica(value.entry); replica.ok()) {
    set_replica(service, std::move(*replica));
    committed = await_commitment(service, std::nullopt, report);
  } else {
    committed = replica.error();
  }
  if (committed.ok() || known || stopping_) return committed;
  offers_.remove(service);
  remove(service);
  TRY(journal_.remove(service));
  return committed;
}

Result<ServiceStatus> Supervisor::await_commitment(const std::string& service,
                                                   const std::optional<trust::Digest>& manifest,
                                                   const StepReport& report) {
  const auto deadline = std::chrono::steady_clock::now() + kCommitTimeout;
  const auto current = find(service);
  if (!current || !current->replica) return Error(service + " does not run here");
  const std::shared_ptr<Replica> replica = current->replica;
  const unsigned failures_before = replica->status().failures;
  std::uint64_t version = 0;
  std::string last_line;
  std::optional<Phase> last_phase;
  std::chrono::steady_clock::time_point last_report;
  while (!stopping_ && std::chrono::steady_clock::now() < deadline) {
    version = replica->wait_change(version, milliseconds(200));
    const ReplicaStatus status = replica->status();
    const std::string line =
        std::string(to_string(status.phase)) + (status.detail.empty() ? "" : ": " + status.detail);
    const auto now = std::chrono::steady_clock::now();
    const bool is_due = status.phase != last_phase || now - last_report > kReportInterval;
    if (line != last_line && is_due) {
      report(line);
      last_line = line;
      last_phase = status.phase;
      last_report = now;
    }
    const bool is_wanted = !manifest || status.manifest == *manifest;
    if (status.phase == Phase::committed && is_wanted) return status_of(*find(service));
    const bool failed = status.failures > failures_before || status.phase == Phase::uncommitted;
    if (failed) return Error("host " + service + ": " + status.detail);
  }
  return Error("host " + service + ": " + (stopping_ ? "the peer is shutting down" : "timed out"));
}

Result<void> Supervisor::stop(const std::string& service, const StepReport& report) {
  const auto flow = TRY(Flow::begin(*this, service));
  auto found = find(service);
  if (!found) return Error(service + " is not known here; see 'mutua ps'");
  report("stopping");
  if (found->replica) found->replica->request_stop();
  if (found->entry.role == Role::owner) {
    found->entry.runs_here = false;
    TRY(journal_.put(found->entry));
    found->replica.reset();
    put(service, *found);
    return {};
  }
  offers_.remove(service);
  remove(service);
  TRY(journal_.remove(service));
  found.reset();  // waits for the machine's end
  write_layout_index();
  return {};
}

Result<void> Supervisor::withdraw(const std::string& service, const StepReport& report) {
  const auto flow = TRY(Flow::begin(*this, service));
  auto found = std::optional(TRY(find_own(service)));
  const wire::Name name = TRY(names_.service(service));
  report("giving the name back");
  TRY(owner_updates_.release(name));
  report("stopping");
  if (found->replica) found->replica->request_stop();
  offers_.remove(service);
  remove(service);
  TRY(journal_.remove(service));
  found.reset();
  write_layout_index();
  return {};
}

ServiceStatus Supervisor::status_of(const Service& service) const {
  ServiceStatus status{service.entry, std::nullopt, ""};
  if (!service.replica) return status;
  status.replica = service.replica->status();
  if (const auto name = names_.service(service.entry.service); name.ok()) {
    status.commitment_problem = registrar_->problem_of(*name);
  }
  return status;
}

std::vector<ServiceStatus> Supervisor::services() const {
  std::vector<Service> copies;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, service] : services_) copies.push_back(service);
  }
  std::vector<ServiceStatus> statuses;
  for (const Service& service : copies) statuses.push_back(status_of(service));
  return statuses;
}

std::filesystem::path Supervisor::console_log(const std::string& service) const {
  return Replica::console_log(settings_.state / "machines", service);
}

Result<std::vector<ReplicaReport>> Supervisor::audit(const std::string& service) {
  const Service own = TRY(find_own(service));
  if (!own.auditor) return Error(service + " was published without a check; see --check");
  return own.auditor->round();
}

Result<std::vector<Supervisor::ReplicaView>> Supervisor::replicas(const std::string& service) {
  const wire::Name name = TRY(names_.service(service));
  const auto record = TRY(directory_.service(name));
  if (!record) return Error("nobody publishes " + service);
  const auto port = TRY(ServicePort::parse(record->ports.substr(0, record->ports.find(','))));
  const char* transport = port.transport == Transport::tcp ? "tcp" : "udp";
  const auto commitments = TRY(directory_.commitments(name, port.number, transport));
  const auto served = TRY(directory_.served(name, port.number, transport));
  std::vector<ReplicaReport> reports;
  if (const auto own = find(service); own && own->auditor) reports = own->auditor->last_reports();
  std::vector<ReplicaView> views;
  for (const CommitmentRecord& commitment : commitments) {
    ReplicaView view;
    view.peer = commitment.peer;
    if (!commitment.addresses.empty()) view.address = commitment.addresses.front().to_text();
    view.current = commitment.manifest == record->manifest;
    view.served = std::ranges::any_of(
        served, [&](const auto& entry) { return entry.first == commitment.peer; });
    const auto report = std::ranges::find(reports, commitment.peer, &ReplicaReport::peer);
    if (report != reports.end()) view.last_audit = *report;
    views.push_back(std::move(view));
  }
  return views;
}

Result<void> Supervisor::admit(const std::string& service, const std::string& peer) {
  TRY(find_own(service));
  const wire::Name name = TRY(names_.service(service));
  return owner_updates_.admit(name, peer);
}

Result<void> Supervisor::deny(const std::string& service, const std::string& peer,
                              const std::string& reason) {
  TRY(find_own(service));
  const wire::Name name = TRY(names_.service(service));
  return owner_updates_.deny(name, peer, reason, trust::sha256(as_bytes(reason)));
}

}  // namespace mutua::peer
