#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <stop_token>

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "peer/layers/blob_writer.h"
#include "trust/digest.h"

namespace mutua::peer {

// Everything that a peer holds, by content: an OCI image layout.
//
//   <root>/oci-layout                    {"imageLayoutVersion":"1.0.0"}
//   <root>/index.json                    the manifests held, by service (image_layout.h)
//   <root>/blobs/sha256/<64 digits>      one blob; its name is its digest; mode 0444, never changed
//   <root>/blobs/partial/<64 digits>     what came of it so far; resumed by BlobWriter
//
// Paths are made from validated digests alone, never from text of the wire. A blob that has its
// name has its content: it is hashed while written, fsynced, then renamed.
// Thread-safe: the file system's rename is the only synchronisation needed.
class BlobStore {
 public:
  static Result<BlobStore> open(const std::filesystem::path& root);

  bool has(const trust::Digest& digest) const;
  // Fails where the blob is not held.
  Result<std::uint64_t> size(const trust::Digest& digest) const;

  struct OpenBlob {
    UniqueFd fd;
    std::uint64_t size_bytes = 0;
  };
  Result<OpenBlob> open_blob(const trust::Digest& digest) const;

  // The whole content, hashed again on the way: a disk that rots is noticed. A blob of more than
  // `limit_bytes` is an error before it is read.
  Result<Bytes> read(const trust::Digest& digest, std::size_t limit_bytes) const;

  // Reads a blob of any size and compares it with its digest.
  Result<void> verify(const trust::Digest& digest) const;

  Result<trust::Digest> put(BytesView content) const;
  // Copies a local file of at most `limit_bytes`.
  Result<trust::Digest> put_file(const std::filesystem::path& file,
                                 std::uint64_t limit_bytes) const;

  // Writes the blob `digest` of exactly `size_bytes`, taking up a partial file where one is held.
  // One writer for a digest at a time: a second one is an error.
  Result<BlobWriter> begin(const trust::Digest& digest, std::uint64_t size_bytes) const;
  // The same, but waits for the other writer. Nothing where the blob is held then.
  Result<std::optional<BlobWriter>> begin_unless_held(const trust::Digest& digest,
                                                      std::uint64_t size_bytes,
                                                      std::chrono::milliseconds patience,
                                                      std::stop_token stop = {}) const;

  // Where the blob's file is or would be, for programs that take a path.
  std::filesystem::path path_of(const trust::Digest& digest) const;
  // Lets the blob be executed by its path: a kernel.
  Result<void> make_executable(const trust::Digest& digest) const;
  const std::filesystem::path& root() const { return root_; }

  // Deletes one; one that is not there is no error.
  Result<void> remove(const trust::Digest& digest) const;
  // Deletes every blob that is not in `kept`, and every partial file of yesterday: younger ones may
  // be resumed. Nobody may be writing. Returns the number of deleted files.
  Result<std::size_t> remove_unreferenced(const std::set<trust::Digest>& kept) const;

 private:
  explicit BlobStore(std::filesystem::path root) : root_(std::move(root)) {}

  std::filesystem::path root_;
};

}  // namespace mutua::peer
