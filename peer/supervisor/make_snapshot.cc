#include "peer/supervisor/make_snapshot.h"

#include <unistd.h>

#include <ctime>

#include "peer/snapshot/disk_delta.h"
#include "peer/snapshot/ssh_signature.h"
#include "peer/vm/uml/cow.h"

namespace mutua::peer {
namespace {

std::string rfc3339(WallTime time) {
  const std::time_t seconds = time.time_since_epoch().count();
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

Result<Descriptor> put_layer(const BlobStore& store, std::string_view type,
                             const std::filesystem::path& file) {
  const trust::Digest digest = TRY(store.put_file(file, kLargestBlobBytes));
  return Descriptor{std::string(type), digest, TRY(store.size(digest)), {}};
}

class TemporaryFile {
 public:
  explicit TemporaryFile(std::filesystem::path path) : path_(std::move(path)) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { ::unlink(path_.c_str()); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace

Result<LocalSnapshot> make_snapshot(const BlobStore& store, const trust::PrivateKey& key,
                                    const SnapshotFiles& files, SnapshotConfig config,
                                    const std::filesystem::path& work, const Clock& clock,
                                    const StepReport& report) {
  report("storing the kernel and the base disk");
  Manifest manifest;
  manifest.artifact_type = media_type::snapshot;
  const Descriptor kernel = TRY(put_layer(store, media_type::kernel, files.kernel));
  const Descriptor base = TRY(put_layer(store, media_type::base_disk, files.base_disk));

  const auto blocks = TRY(vm::uml::compare(files.base_disk, files.disk));
  report("the disk differs from its base in " + std::to_string(blocks.size()) + " blocks of 4 KiB");
  const TemporaryFile delta_file(work / (config.service + ".delta"));
  TRY(write_disk_delta(files.disk, base.digest, blocks, delta_file.path()));
  Descriptor delta = TRY(put_layer(store, media_type::disk_delta, delta_file.path()));
  delta.annotations["vnd.mutua.base.digest"] = base.digest.to_text();

  config.bases = {kernel.digest.label(), base.digest.label()};
  config.created = rfc3339(clock.wall_now());
  const Bytes config_raw = print_snapshot_config(config);
  const trust::Digest config_digest = TRY(store.put(config_raw));
  manifest.config = {
      std::string(media_type::snapshot_config), config_digest, config_raw.size(), {}};
  manifest.layers = {kernel, base, delta};
  manifest.annotations = {{"org.opencontainers.image.created", config.created},
                          {"org.opencontainers.image.title", config.service}};

  report("signing");
  const Bytes raw = print_manifest(manifest);
  const trust::Digest digest = TRY(store.put(raw));
  const Bytes armored = to_bytes(
      std::string_view(make_ssh_signature(key, kSnapshotNamespace, as_bytes(digest.to_text()))));
  const Descriptor subject{std::string(media_type::image_manifest), digest, raw.size(), {}};
  const Bytes signature_raw = print_manifest(signature_manifest(subject, armored));
  TRY(store.put(as_bytes("{}")));
  const trust::Digest signature_blob = TRY(store.put(armored));
  const trust::Digest signature_digest = TRY(store.put(signature_raw));
  // Read back through the checks that every other peer will make.
  return load_local(store, config.service, {digest, signature_digest, signature_blob},
                    key.public_key());
}

}  // namespace mutua::peer
