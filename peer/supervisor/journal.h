#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "trust/digest.h"

namespace mutua::peer {

enum class Role { owner, host };

// What this peer has promised about one service; enough to take it up again after a restart.
struct JournalEntry {
  std::string service;  // a canonical hostname
  Role role = Role::host;
  bool runs_here = true;  // a machine of it shall run at this peer

  // The snapshot that was last held whole and verified; none before the first fetch ended.
  struct Held {
    trust::Digest manifest, signature_manifest, signature_blob;
    bool operator==(const Held&) const = default;
  };
  std::optional<Held> held;

  // Of an owner.
  std::string admission = "audited";
  std::vector<std::string> checks;
  std::chrono::milliseconds every{10'000};

  bool operator==(const JournalEntry&) const = default;
};

// One file for each service, <folder>/<service>.json, replaced as one step and durably: a crash at
// any point leaves either the entry of before or the new one. Thread-safe for distinct services.
class Journal {
 public:
  static Result<Journal> open(const std::filesystem::path& folder);

  // All entries. A file that cannot be read is an error that names it: it is never skipped, since
  // a promise would be lost with it.
  Result<std::vector<JournalEntry>> load() const;
  Result<void> put(const JournalEntry& entry) const;
  Result<void> remove(const std::string& service) const;

 private:
  explicit Journal(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::filesystem::path folder_;
};

}  // namespace mutua::peer
