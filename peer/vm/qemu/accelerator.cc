#include "peer/vm/qemu/accelerator.h"

#include <cpuid.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "base/unique_fd.h"

namespace mutua::vm::qemu {
namespace {

constexpr unsigned kHypervisorBit = 1u << 31;  // CPUID leaf 1, ECX

bool processor_is_virtual() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & kHypervisorBit) != 0;
}

}  // namespace

const char* to_string(Accelerator accelerator) {
  return accelerator == Accelerator::kvm ? "kvm" : "tcg";
}

std::optional<Accelerator> parse_accelerator(std::string_view text) {
  if (text == "tcg") return Accelerator::tcg;
  if (text == "kvm") return Accelerator::kvm;
  return std::nullopt;
}

Accelerator best_accelerator() {
  if (processor_is_virtual()) return Accelerator::tcg;
  const UniqueFd device(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!device || ::ioctl(device.get(), KVM_GET_API_VERSION, 0) != KVM_API_VERSION) {
    return Accelerator::tcg;
  }
  const UniqueFd machine(::ioctl(device.get(), KVM_CREATE_VM, 0));
  return machine ? Accelerator::kvm : Accelerator::tcg;
}

}  // namespace mutua::vm::qemu
