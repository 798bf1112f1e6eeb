#pragma once

#include <cstdint>
#include <filesystem>

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "trust/digest.h"

namespace mutua::peer {

// One blob on its way into the store. Bytes are hashed as they come; finish() alone gives the
// blob its name. Destroyed without finish(), the partial file stays, for a later resume.
class BlobWriter {
 public:
  // Opens `partial` (created where it is not there), locks it, and hashes what it holds. Fails
  // where another writer has it.
  static Result<BlobWriter> open(const std::filesystem::path& partial,
                                 const std::filesystem::path& destination,
                                 const trust::Digest& digest, std::uint64_t size_bytes);

  // Bytes held so far: where a source has to go on.
  std::uint64_t offset() const { return offset_; }
  std::uint64_t size_bytes() const { return size_bytes_; }

  // Fails, with nothing written, where the blob would become longer than its size.
  Result<void> write(BytesView bytes);

  // Starts again from nothing: the source gave wrong bytes.
  Result<void> restart();

  // Makes the blob durable and visible. Where size or digest differ nothing becomes visible, and
  // the partial file is emptied.
  Result<void> finish();

 private:
  BlobWriter(UniqueFd fd, std::filesystem::path partial, std::filesystem::path destination,
             const trust::Digest& digest, std::uint64_t size_bytes)
      : fd_(std::move(fd)),
        partial_(std::move(partial)),
        destination_(std::move(destination)),
        digest_(digest),
        size_bytes_(size_bytes) {}
  Result<void> hash_existing();

  UniqueFd fd_;
  std::filesystem::path partial_, destination_;
  trust::Digest digest_;
  std::uint64_t size_bytes_;
  std::uint64_t offset_ = 0;
  trust::Sha256 hash_;
};

}  // namespace mutua::peer
