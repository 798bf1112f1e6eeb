#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/service_manager.h"
#include "control/control.h"
#include "peer/config.h"
#include "peer/supervisor/commands.h"
#include "peer/vm/qemu/qemu_engine.h"
#include "peer/vm/uml/uml_engine.h"

namespace {

using namespace mutua;
using namespace mutua::peer;

constexpr const char* kUsage = R"(usage: mutua-peer --config FILE [--check-config]

Offers this machine's place to services of a Mutua federation, and publishes its own.
Make its key first with 'mutua peer init'; then talk to it with 'mutua' (see mutua(1)).

  --config FILE    the configuration (see mutua-peer(8))
  --check-config   check it and end
  --help, --version
)";

struct Options {
  std::string config;
  bool check_only = false;
};

int fail(const std::string& message) {
  std::fprintf(stderr, "mutua-peer: %s\n", message.c_str());
  return 1;
}

// Blocked before any thread starts, so that only main() takes them.
sigset_t block_end_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return signals;
}

Result<trust::PrivateKey> load_key(const std::filesystem::path& state) {
  auto key = trust::PrivateKey::load(state / "peer.key");
  if (key.ok()) return key;
  return key.error().in("the peer's key (make it with 'mutua peer init --state " + state.string() +
                        "')");
}

Result<void> run(const PeerConfig& config) {
  const sigset_t end_signals = block_end_signals();
  trust::PrivateKey key = TRY(load_key(config.supervisor.state));
  vm::uml::UmlEngine uml(config.machine_program);
  vm::qemu::QemuEngine qemu(config.machine_program);
  vm::Engines engines{{"uml", &uml}};
  if (const auto available = qemu.available(); available.ok()) {
    engines["qemu"] = &qemu;
  } else {
    log::info("engine.absent", {{"engine", "qemu"}, {"reason", available.error().message()}});
  }
  for (const auto& [name, engine] : engines) engine->keep_one_ready();
  const auto supervisor = TRY(
      Supervisor::create(config.supervisor, std::move(key), std::move(engines), system_clock()));
  auto control =
      TRY(control::Server::create(config.control_socket, 0600, make_command_handler(*supervisor)));
  std::printf("ready %s exchange %u\n", supervisor->peer().c_str(), supervisor->exchange_port());
  std::fflush(stdout);
  notify_manager("READY=1");
  int signal_number = 0;
  sigwait(&end_signals, &signal_number);
  log::info("peer.ends", {{"signal", signal_number}});
  notify_manager("STOPPING=1");
  supervisor->begin_shutdown();
  control.reset();
  supervisor->shut_down();
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int index = 1; index < argc; ++index) {
    const std::string argument = argv[index];
    if (argument == "--help" || argument == "-h") return std::fputs(kUsage, stdout), 0;
    if (argument == "--version") return std::puts("mutua-peer " MUTUA_VERSION), 0;
    if (argument == "--check-config") {
      options.check_only = true;
    } else if (argument == "--config" && index + 1 < argc) {
      options.config = argv[++index];
    } else {
      return std::fprintf(stderr, "mutua-peer: not understood: %s\n%s", argv[index], kUsage), 2;
    }
  }
  if (options.config.empty()) return std::fputs(kUsage, stderr), 2;
  const auto config = load_config(options.config);
  if (!config.ok()) return fail(config.error().message());
  if (options.check_only) return 0;
  const auto ran = run(*config);
  return ran.ok() ? 0 : fail(ran.error().message());
}
