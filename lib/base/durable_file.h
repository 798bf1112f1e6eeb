#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace mutua {

// Reads a whole file. A file of more than `limit_bytes` is an error before it is read.
Result<Bytes> read_file(const std::filesystem::path& path, std::size_t limit_bytes);

// Replaces `path` as one step: temporary file in the same folder, fsync, rename, fsync of the
// folder. After success the new content survives power loss; on failure the old content stays.
Result<void> write_file_durably(const std::filesystem::path& path, BytesView content,
                                mode_t mode = 0644);

}  // namespace mutua
