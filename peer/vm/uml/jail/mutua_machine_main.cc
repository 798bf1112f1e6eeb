// mutua-machine PARENT_PID: one jailed process group for one virtual machine. Started by the
// daemon, which talks to it over descriptor 3 (control.h); of no use by hand.

#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "peer/vm/uml/jail/jail.h"
#include "peer/vm/uml/jail/uml_guest.h"
#include "peer/vm/uml/jail/warden.h"
#include "peer/vm/uml/spec_text.h"

#ifdef __SANITIZE_ADDRESS__
// Freed memory that AddressSanitizer keeps back counts against the machine's cgroup.
extern "C" const char* __asan_default_options() { return "quarantine_size_mb=8"; }
#endif

namespace {

using namespace mutua;
using namespace mutua::vm::uml;

constexpr int kControl = 3;
constexpr int kSpecDeadlineMilliseconds = 10'000;

Result<vm::MachineSpec> receive_spec(const Channel& daemon) {
  pollfd readable{daemon.fd(), POLLIN, 0};
  (void)::poll(&readable, 1, kSpecDeadlineMilliseconds);
  Message message;
  if (daemon.receive(message) != Channel::Reception::message || message.word != "spec") {
    return errorf("no machine to run: the daemon said nothing");
  }
  return spec_from_text(message.rest);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("mutua-machine runs one virtual machine for mutua-peer, which starts it\n", stderr);
    return 2;
  }
  // The daemon may have died before the signal was armed.
  if (!die_with_parent().ok() || ::getppid() != std::atoi(argv[1])) return 1;
  ::signal(SIGPIPE, SIG_IGN);
  const int kept[] = {kControl};
  close_all_but(kept);
  const Channel daemon{UniqueFd(kControl)};
  const auto spec = receive_spec(daemon);
  if (!spec.ok()) {
    (void)daemon.send("exited", "failed\n" + spec.error().message());
    return 1;
  }
  UmlGuest guest;
  run_warden(*spec, guest, daemon);
  return 0;
}
