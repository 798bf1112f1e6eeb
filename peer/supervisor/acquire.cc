#include "peer/supervisor/acquire.h"

#include <set>

#include "base/log.h"

namespace mutua::peer {
namespace {

// Tables of pages, the state of devices.
constexpr std::uint64_t kMostMemoryOverheadBytes = 32 << 20;

// The exchange addresses of the owner and of every peer that committed, the owner first.
Result<std::vector<Source>> find_sources(const Directory& directory, const ServiceRecord& service,
                                         const std::string& own_peer) {
  std::vector<std::string> peers{service.owner};
  std::set<std::string> seen{service.owner, own_peer};
  std::string_view ports = service.ports;
  while (!ports.empty()) {
    const std::string_view text = ports.substr(0, ports.find(','));
    ports.remove_prefix(std::min(ports.size(), text.size() + 1));
    const ServicePort port = TRY(ServicePort::parse(text));
    const char* transport = port.transport == Transport::tcp ? "tcp" : "udp";
    const auto commitments = TRY(directory.commitments(service.name, port.number, transport));
    for (const CommitmentRecord& commitment : commitments) {
      if (seen.insert(commitment.peer).second) peers.push_back(commitment.peer);
    }
  }
  std::vector<Source> sources;
  for (const std::string& peer : peers) {
    if (peer == own_peer) continue;
    const auto addresses = TRY(directory.exchange(peer));
    for (const SocketAddress& address : addresses) sources.push_back({peer, address});
  }
  return sources;
}

// The zone's TXT names the manifest's bases, and the operator trusts them.
Result<void> check_bases(const Directory& directory, const ServiceRecord& record,
                         const VerifiedManifest& manifest) {
  const std::vector<std::string> labels = manifest.base_labels();
  if (std::set(record.bases.begin(), record.bases.end()) !=
      std::set(labels.begin(), labels.end())) {
    return Error(record.name.to_text() + ": the bases in the zone are not the manifest's");
  }
  const std::string problem = TRY(untrusted_base(directory, labels));
  if (!problem.empty()) return Error(problem);
  return {};
}

// A small layer may expand to much; a machine's memory file has little more than its memory.
Result<void> check_memory_size(const SnapshotLayers& layers, const SnapshotConfig& config) {
  const std::uint64_t most_bytes =
      (std::uint64_t{config.memory_mib} << 20) + kMostMemoryOverheadBytes;
  for (const MemoryLayer& layer : layers.memory) {
    if (layer.content_bytes > most_bytes) {
      return errorf("%s: a memory of %llu bytes is none of a machine of %u MiB",
                    config.service.c_str(), static_cast<unsigned long long>(layer.content_bytes),
                    config.memory_mib);
    }
  }
  return {};
}

}  // namespace

Result<std::string> untrusted_base(const Directory& directory,
                                   const std::vector<std::string>& labels) {
  for (const std::string& label : labels) {
    const BaseStatus status = TRY(directory.base(label));
    if (status == BaseStatus::revoked) return "base " + label + " was revoked by the operator";
    if (status != BaseStatus::trusted) {
      return "base " + label + " is not on the operator's list; the operator adds it with " +
             "'mutua base trust FILE'";
    }
  }
  return std::string();
}

Result<void> check_limits(const SnapshotConfig& config, const AcquireLimits& limits) {
  if (config.memory_mib > limits.memory_mib) {
    return errorf("%s wants %u MiB of memory; this peer gives %u (memory_limit_mib)",
                  config.service.c_str(), config.memory_mib, limits.memory_mib);
  }
  if (!limits.engines.contains(config.engine)) {
    return Error(config.service + " runs in the engine " + config.engine +
                 ", which this peer does not have");
  }
  if (config.outbound && !limits.allow_outbound) {
    return Error(config.service + " wants outbound connections; this peer gives none " +
                 "(allow_outbound)");
  }
  return {};
}

Result<LocalSnapshot> acquire(const Directory& directory, const BlobStore& store,
                              const std::string& service, const std::string& own_peer,
                              const std::optional<JournalEntry::Held>& held,
                              const AcquireLimits& limits,
                              const std::function<void(const FetchProgress&)>& on_progress,
                              std::stop_token stop) {
  const wire::Name name = TRY(directory.names().service(service));
  const auto record = TRY(directory.service(name));
  if (!record) return Error("nobody publishes " + service);
  if (held && held->manifest == record->manifest) {
    auto local = load_local(store, service, *held, record->owner_key);
    if (local.ok()) {
      TRY(check_bases(directory, *record, local->manifest));
      TRY(check_limits(local->config, limits));
      return local;
    }
    log::warning("snapshot.damaged", {{"service", service}, {"reason", local.error().message()}});
  }
  auto sources = TRY(find_sources(directory, *record, own_peer));
  Fetcher fetcher(store, service, std::move(sources), on_progress, std::move(stop));
  Fetcher::Signed fetched =
      TRY(fetcher.fetch_manifest(record->manifest, record->owner_key, limits.snapshot_bytes));
  const VerifiedManifest& manifest = fetched.manifest;
  TRY(check_bases(directory, *record, manifest));

  TRY(fetcher.fetch_blob(manifest.manifest().config));
  const Bytes config_raw =
      TRY(store.read(manifest.manifest().config.digest, kLargestSnapshotConfigBytes));
  SnapshotConfig config = TRY(verify_config(manifest, config_raw, service));
  TRY(check_limits(config, limits));
  TRY(check_memory_size(manifest.layers(), config));
  for (const Descriptor& layer : manifest.manifest().layers) TRY(fetcher.fetch_blob(layer));
  return LocalSnapshot{manifest, std::move(config), fetched.signature, fetched.signature_blob};
}

}  // namespace mutua::peer
