#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

namespace mutua::vm {

// Seccomp filters, for good and for every child: what is not listed fails with EPERM. The caller
// has no_new_privs set. Errors come from libseccomp or the host's kernel.

// What a User-Mode Linux kernel, its stubs and its keeper use. New namespaces, mounts, sockets
// other than AF_UNIX, and the host's rarer interfaces are not among it.
Result<void> allow_machine_calls();

// The same, but a call that is not listed waits until whoever holds the returned descriptor
// answers it (seccomp_unotify(2)); with the last copy of that closed, such calls fail with ENOSYS.
// No descriptor where the host grants none: then they fail with EPERM at once.
Result<UniqueFd> watch_machine_calls();

// As that, for what QEMU with one processor and its keeper use; QEMU itself then forbids its
// threads to start programs. No ptrace, no timers that signal, no sockets but a pair.
Result<UniqueFd> watch_emulator_calls();

// What the network process uses once its ports listen. `connects`: it may open connections.
enum class Connects { no, yes };
Result<void> allow_network_calls(Connects connects);

}  // namespace mutua::vm
