#pragma once

#include <optional>

#include "peer/vm/jail/guest_program.h"
#include "peer/vm/qemu/accelerator.h"
#include "peer/vm/qemu/memory_file.h"
#include "peer/vm/qemu/qmp.h"

namespace mutua::vm::qemu {

// QEMU as the guest program. The scratch disk is a COW file that holds every block, so that QEMU
// may take its data for a raw disk; guest memory is a file in the jail's /tmp, which a snapshot
// copies while the guest runs and, for what changed since, once more while it stands.
class QemuGuest final : public GuestProgram {
 public:
  QemuGuest(std::filesystem::path program, Accelerator accelerator)
      : program_(std::move(program)), accelerator_(accelerator) {}

  std::string_view complaint() const override { return "qemu: "; }
  int ethernet_type() const override;
  std::uint64_t overhead_bytes() const override;
  Result<void> check_result(const std::filesystem::path& memory_file,
                            const SnapshotReport& report) const override;
  Result<void> prepare(const MachineSpec& spec) override;
  JailRoot root(const MachineSpec& spec) const override;
  Result<UniqueFd> watch_calls() const override;
  std::vector<std::string> arguments(const MachineSpec& spec) const override;
  std::vector<std::string> environment() const override;
  bool has_fixed_addresses() const override { return false; }
  bool uses_one_processor() const override { return false; }
  Result<void> make_files(const MachineSpec& spec) override;
  bool has_control() const override { return true; }
  Result<void> begin(const MachineSpec& spec, UniqueFd control, int ended) override;
  int event_fd() const override;
  void handle_readable() override;
  Result<void> ask_to_stop() override;
  Result<std::string> take(SnapshotRequest::After after, std::chrono::milliseconds deadline,
                           int ended) override;
  std::string describe_end(int status) override;

 private:
  struct Files;

  Result<void> resume(const MemoryTrailer& trailer);
  Result<void> write_state(const Files& files, Qmp::Deadline deadline);
  Result<void> freeze_and_copy(const Files& files, Qmp::Deadline deadline, std::uint64_t& pages);

  Result<void> thaw();

  const std::filesystem::path program_;
  const Accelerator accelerator_;
  // From prepare() on.
  MemoryTrailer identity_;  // what a snapshot of this machine will say
  std::optional<MemoryFile> snapshot_;
  std::uint64_t disk_offset_ = 0;
  std::uint64_t disk_bytes_ = 0;
  // From begin() on.
  std::optional<Qmp> qmp_;
};

}  // namespace mutua::vm::qemu
