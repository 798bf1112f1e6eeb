#include "cli/command.h"

#include <iterator>

namespace mutua::cli {

const std::vector<Command>& commands() {
  static const std::vector<Command> all = [] {
    std::vector<Command> joined;
    for (auto group : {peer_init_commands(), disk_commands(), peer_commands(), scrapbook_commands(),
                       machine_run_commands(), resolver_commands(), base_commands()}) {
      std::move(group.begin(), group.end(), std::back_inserter(joined));
    }
    return joined;
  }();
  return all;
}

}  // namespace mutua::cli
