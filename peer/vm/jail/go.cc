#include "peer/vm/jail/go.h"

#include <poll.h>
#include <unistd.h>

#include "peer/vm/spec_text.h"

namespace mutua::vm {

bool send_go(const Channel& child, const MachineSpec& spec) {
  return child.send("go", to_text(spec));
}

Result<MachineSpec> wait_for_go(const Channel& warden) {
  for (;;) {
    pollfd readable{warden.fd(), POLLIN, 0};
    (void)::poll(&readable, 1, -1);
    Message message;
    switch (warden.receive(message)) {
      case Channel::Reception::message:
        return spec_from_text(message.rest);
      case Channel::Reception::closed:
        ::_exit(0);
      case Channel::Reception::nothing_yet:
        break;
    }
  }
}

}  // namespace mutua::vm
