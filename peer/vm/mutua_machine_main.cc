// mutua-machine PARENT_PID uml | PARENT_PID qemu ACCELERATOR PROGRAM: one jailed process group for
// one virtual machine. Started by the daemon, which talks to it over descriptor 3 (control.h); of
// no use by hand.

#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "peer/vm/jail/jail.h"
#include "peer/vm/jail/warden.h"
#include "peer/vm/qemu/qemu_guest.h"
#include "peer/vm/uml/uml_guest.h"

#ifdef __SANITIZE_ADDRESS__
// Freed memory that AddressSanitizer keeps back counts against the machine's cgroup.
extern "C" const char* __asan_default_options() { return "quarantine_size_mb=8"; }
#endif

namespace {

using namespace mutua;
using namespace mutua::vm;

constexpr int kControl = 3;

// None for arguments that no daemon gives.
std::unique_ptr<GuestProgram> make_guest(int argc, char** argv) {
  const std::string_view engine = argc > 2 ? argv[2] : "";
  if (engine == "uml" && argc == 3) return std::make_unique<uml::UmlGuest>();
  if (engine != "qemu" || argc != 5) return nullptr;
  const auto accelerator = qemu::parse_accelerator(argv[3]);
  return accelerator ? std::make_unique<qemu::QemuGuest>(argv[4], *accelerator) : nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  const auto guest = make_guest(argc, argv);
  if (!guest) {
    std::fputs("mutua-machine runs one virtual machine for mutua-peer, which starts it\n", stderr);
    return 2;
  }
  // The daemon may have died before the signal was armed.
  if (!die_with_parent().ok() || ::getppid() != std::atoi(argv[1])) return 1;
  ::signal(SIGPIPE, SIG_IGN);
  const int kept[] = {kControl};
  close_all_but(kept);
  run_warden(*guest, Channel{UniqueFd(kControl)});
  return 0;
}
