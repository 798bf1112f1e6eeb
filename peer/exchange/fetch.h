#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/socket_address.h"
#include "peer/layers/blob_store.h"
#include "peer/snapshot/manifest.h"
#include "peer/snapshot/verified_manifest.h"
#include "trust/key.h"

namespace mutua::peer {

// A peer that offers layers.
struct Source {
  std::string name;  // for people: the peer's id
  SocketAddress address;

  std::string to_text() const { return name + " at " + address.to_text(); }
};

struct FetchProgress {
  std::string object;  // "manifest", "kernel", "disk", …
  std::string source;
  std::uint64_t done_bytes = 0;
  std::uint64_t total_bytes = 0;
};

// Fetches one service's snapshot from several sources. A source that fails, stalls or gives wrong
// bytes is passed over for the next one; the error at the end names what each of them did.
// Blocks; belongs to one thread.
class Fetcher {
 public:
  Fetcher(const BlobStore& store, std::string service, std::vector<Source> sources,
          std::function<void(const FetchProgress&)> on_progress, std::stop_token stop);

  // A manifest that verify() accepts, together with its signature; both are in the store then.
  struct Signed {
    VerifiedManifest manifest;
    Referrer signature;
    trust::Digest signature_blob;
  };
  Result<Signed> fetch_manifest(const trust::Digest& digest, const trust::PublicKey& owner,
                                std::uint64_t limit_bytes);

  // Into the store: at most `blob.size_bytes` are taken, hashed while they come; what a former
  // call left is resumed by Range. A blob that the store has costs nothing.
  Result<void> fetch_blob(const Descriptor& blob);

 private:
  Result<Bytes> get(const Source& source, const std::string& path, std::uint64_t limit_bytes);
  Result<Signed> fetch_manifest_from(const Source& source, const trust::Digest& digest,
                                     const trust::PublicKey& owner, std::uint64_t limit_bytes);
  Result<void> fetch_blob_from(const Source& source, const Descriptor& blob, BlobWriter& writer);
  // Calls `attempt` for each source in turn until one succeeds.
  template <typename Attempt>
  auto from_any(const std::string& object, Attempt attempt) -> decltype(attempt(Source()));

  const BlobStore& store_;
  std::string service_;
  std::vector<Source> sources_;
  std::function<void(const FetchProgress&)> on_progress_;
  std::stop_token stop_;
  std::size_t next_ = 0;  // the source to begin with: the last one that served
};

}  // namespace mutua::peer
