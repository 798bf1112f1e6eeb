#pragma once

#include <optional>
#include <string_view>

namespace mutua::vm::qemu {

// How QEMU runs a guest's instructions: translated, or by the processor itself.
enum class Accelerator { tcg, kvm };

const char* to_string(Accelerator accelerator);
std::optional<Accelerator> parse_accelerator(std::string_view text);

// KVM where this process may use /dev/kvm and the processor is a real one. On a virtual processor
// KVM often starts a guest and then fails to emulate an instruction of its kernel, which nothing
// tells beforehand: there it is TCG.
Accelerator best_accelerator();

}  // namespace mutua::vm::qemu
