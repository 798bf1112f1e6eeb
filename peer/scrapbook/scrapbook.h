#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "peer/layers/blob_store.h"
#include "peer/scrapbook/capture.h"
#include "peer/scrapbook/page.h"
#include "peer/scrapbook/running_machine.h"
#include "peer/vm/machine.h"

namespace mutua::peer {

// What `mutua machine boot` asks for.
struct BootRequest {
  std::string name;
  std::string engine = "uml";
  std::filesystem::path kernel, base_disk;
  std::filesystem::path disk;  // an image that began as the base's copy; empty: the base itself
  unsigned memory_mib = 64;
  std::vector<ServicePort> ports;
  bool outbound = false;
};

struct MachineView {
  Page page;  // what it was started from; `parent` names the snapshot, if it was one
  RunningMachine::Status status;
};

// An owner's machines and snapshots, by name: machines that boot or resume, are frozen, taken and
// stopped; snapshots that are kept side by side, each resumable any number of times.
//
//   <root>/machines/<name>/machine.json   its page; disk.cow, console.log, run/
//   <root>/snapshots/<name>.json          a page; all content is in the blob store
//
// Pages are written durably and as one step, after all that they name is in the store: a crash
// leaves a snapshot whole or not at all. Machines end with this process; their disks stay, and
// boot() starts such a machine again.
// Thread-safe. One operation on a machine or a snapshot at a time; a second one is an error.
class Scrapbook {
 public:
  static Result<std::unique_ptr<Scrapbook>> open(const std::filesystem::path& root,
                                                 const BlobStore& store, const vm::Engines& engines,
                                                 const Clock& clock);

  // Boots a new machine.
  Result<MachineView> boot(const BootRequest& request, const StepReport& report);
  // Boots one that ended, from its own disk as it left it.
  Result<MachineView> boot_again(const std::string& machine);
  // A new machine that goes on from `snapshot`; ports empty: those of the snapshot.
  Result<MachineView> resume(const std::string& snapshot, const std::string& machine,
                             std::vector<ServicePort> ports, const StepReport& report);
  Result<void> freeze(const std::string& machine);
  Result<void> go_on(const std::string& machine);
  // Ends it; `discard`: with its disk and its name. One that does not run may be discarded, too.
  Result<void> stop(const std::string& machine, bool discard);
  std::vector<MachineView> machines() const;
  Result<MachineView> machine(const std::string& name) const;
  std::filesystem::path console_log(const std::string& machine) const;

  // Live, or the machine leaves.
  Result<Page> take(const std::string& machine, const std::string& snapshot, bool leave,
                    const StepReport& report);
  Result<std::vector<Page>> snapshots() const;
  Result<Page> snapshot(const std::string& name) const;
  // Removes the page and returns it; its blobs are for the caller to collect.
  Result<Page> remove(const std::string& snapshot);
  // Tells a snapshot's memory by `parent`'s, or, without one, by itself alone. What it resumes to
  // stays the same, to the byte.
  Result<Page> rebase(const std::string& snapshot, const std::optional<std::string>& parent);
  // Every blob against its digest, and the memory against what it must expand to.
  Result<void> verify(const std::string& snapshot) const;

  // The blobs that all pages need.
  Result<std::set<trust::Digest>> digests() const;

 private:
  class Claim;
  struct Entry {
    Page page;
    std::shared_ptr<RunningMachine> running;
  };

  Scrapbook(std::filesystem::path root, const BlobStore& store, const vm::Engines& engines,
            const Clock& clock)
      : root_(std::move(root)), store_(store), engines_(engines), clock_(clock) {}
  Result<void> load();
  std::filesystem::path folder_of(const std::string& machine) const;
  std::filesystem::path file_of(const std::string& snapshot) const;
  Result<MachineView> start(const Page& page, bool resumes);
  Result<Entry> find(const std::string& machine) const;
  Result<std::shared_ptr<RunningMachine>> find_running(const std::string& machine) const;
  Result<void> check_new_machine(const std::string& name) const;

  const std::filesystem::path root_;
  const BlobStore& store_;
  const vm::Engines& engines_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  mutable std::set<std::string> claimed_;
  std::map<std::string, Entry> machines_;
};

}  // namespace mutua::peer
