// mutua-machine PARENT_PID: one jailed process group for one virtual machine. Started by the
// daemon, which talks to it over descriptor 3 (control.h); of no use by hand.

#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "peer/vm/qemu/qemu_guest.h"
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

// What the daemon wants to run, and in which engine.
struct Order {
  vm::MachineSpec spec;
  std::unique_ptr<GuestProgram> guest;
};

Result<Order> receive_order(const Channel& daemon) {
  pollfd readable{daemon.fd(), POLLIN, 0};
  (void)::poll(&readable, 1, kSpecDeadlineMilliseconds);
  Message message;
  Order order;
  if (daemon.receive(message) != Channel::Reception::message) {
    return errorf("no machine to run: the daemon said nothing");
  }
  if (message.word == "spec") {
    order.spec = TRY(spec_from_text(message.rest));
    order.guest = std::make_unique<UmlGuest>();
    return order;
  }
  const auto space = message.rest.find(' ');
  const auto end = message.rest.find('\n');
  if (message.word != "qemu" || space > end || end == std::string::npos) {
    return errorf("not a machine to run");
  }
  const auto accelerator = vm::qemu::parse_accelerator(message.rest.substr(0, space));
  if (!accelerator) return errorf("not an accelerator of QEMU's");
  order.spec = TRY(spec_from_text(message.rest.substr(end + 1)));
  order.guest = std::make_unique<vm::qemu::QemuGuest>(
      message.rest.substr(space + 1, end - space - 1), *accelerator);
  return order;
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
  const auto order = receive_order(daemon);
  if (!order.ok()) {
    (void)daemon.send("exited", "failed\n" + order.error().message());
    return 1;
  }
  run_warden(order->spec, *order->guest, daemon);
  return 0;
}
