#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/result.h"
#include "peer/vm/jail/jail.h"
#include "peer/vm/machine.h"

namespace mutua::vm {

// The jail's folder, empty but while a snapshot is taken.
inline constexpr const char* kSnapshotFolder = "snapshot";
// What the guest program writes there.
inline constexpr const char* kSnapshotMemory = "/snapshot/memory";
inline constexpr const char* kSnapshotDisk = "/snapshot/disk";

// A snapshot under way, as the warden sees it. The guest's kernel writes into a folder beside the
// wanted files, lent to its jail for just that time; what it made is looked at like anything else
// from a stranger before it gets its name. Destruction takes the folder back and removes it with
// all that is in it. `door` must outlive it.
class Take {
 public:
  static Result<Take> begin(const SnapshotRequest& request, const JailUser& user,
                            const JailDoor& door);

  Take(Take&& other) noexcept;
  Take& operator=(Take&&) = delete;
  ~Take();

  // False when the folder holds more than `most_bytes` of the disk, or more files than a snapshot
  // needs.
  bool is_within(std::uint64_t most_bytes) const;

  // What that wrote, at its temporary place.
  std::filesystem::path memory_file() const;

  // Gives both files their names, durably: the memory last. On an error neither is there.
  Result<void> hand_over();

 private:
  Take(const SnapshotRequest& request, const JailDoor& door) : request_(request), door_(&door) {}

  void take_back();

  SnapshotRequest request_;
  const JailDoor* door_;  // null once moved from
  bool lent_ = false;
};

}  // namespace mutua::vm
