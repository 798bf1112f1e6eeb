#pragma once

#include <filesystem>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "resolver/mirror/mirror_zone.h"
#include "wire/message.h"

namespace mutua::resolver {

// A zone in a file, as an AXFR would bring it:
//
//   | "mutua mirror 1\n" | length 2, DNS message | … | SHA-256 of all before, 32 |
//
// The digest finds a file that is damaged; that its content is the zone's is for prove_mirror() to
// say.

constexpr std::size_t kLargestMirrorFile = std::size_t{2} << 30;

// Durably, as one step: after a crash at any moment there is the old file or the new one.
Result<void> save_mirror(const std::filesystem::path& path, const MirrorZone& zone);

Result<MirrorZone::Shared> load_mirror(const std::filesystem::path& path, const wire::Name& apex);
// PURE: the same of a file's content.
Result<MirrorZone::Shared> read_mirror(BytesView content, const wire::Name& apex);

}  // namespace mutua::resolver
