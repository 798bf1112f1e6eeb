#pragma once

#include "peer/vm/jail/guest_program.h"

namespace mutua::vm::uml {

// A User-Mode Linux kernel as the guest program; spoken to by its mconsole.
class UmlGuest final : public GuestProgram {
 public:
  std::string_view complaint() const override { return "restore "; }
  int ethernet_type() const override;
  std::uint64_t overhead_bytes() const override { return 0; }
  Result<void> check_result(const std::filesystem::path& memory_file,
                            const SnapshotReport& report) const override;
  Result<void> prepare(const MachineSpec& spec) override;
  JailRoot root(const MachineSpec& spec) const override;
  Result<UniqueFd> watch_calls() const override;
  std::vector<std::string> arguments(const MachineSpec& spec) const override;
  std::vector<std::string> environment() const override;
  // With a randomized heap it counts the gap before it as memory and pays page tables for it; and
  // a snapshot holds addresses.
  bool has_fixed_addresses() const override { return true; }
  bool uses_one_processor() const override { return true; }
  Result<void> make_files(const MachineSpec&) override { return {}; }
  bool has_control() const override { return false; }
  Result<void> begin(const MachineSpec&, UniqueFd, int) override { return {}; }
  int event_fd() const override { return -1; }
  void handle_readable() override {}
  Result<void> ask_to_stop() override;
  Result<std::string> take(SnapshotRequest::After after, std::chrono::milliseconds deadline,
                           int ended) override;
  std::string describe_end(int status) override;
};

}  // namespace mutua::vm::uml
