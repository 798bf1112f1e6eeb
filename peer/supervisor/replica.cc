#include "peer/supervisor/replica.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/log.h"
#include "peer/audit/run_check.h"
#include "peer/scrapbook/restore.h"
#include "trust/random.h"

namespace mutua::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr seconds kStartTimeout{20};
constexpr seconds kAnswerTimeout{90};  // UML on a loaded host boots slowly
constexpr seconds kWarmUp{5};          // after the first answer, for the right one
constexpr milliseconds kStopGrace{4'000};
constexpr milliseconds kCommitRetry{2'000};
constexpr milliseconds kFirstPause{500};
constexpr milliseconds kLongestPause{60'000};
constexpr seconds kDrain{30};    // lists of servers are kept so long by those who have one
constexpr seconds kHealthy{60};  // served so long: the next pause is the first again

std::string machine_name(const std::string& service) {
  std::string name = service.substr(0, 48);
  std::replace(name.begin(), name.end(), '.', '-');
  return name;
}

vm::Protocol protocol_of(Transport transport) {
  return transport == Transport::tcp ? vm::Protocol::tcp : vm::Protocol::udp;
}

std::string describe(const FetchProgress& progress) {
  std::string text = progress.object + " from " + progress.source;
  if (progress.total_bytes > 0) {
    text += ": " + std::to_string(progress.done_bytes / 1024) + " of " +
            std::to_string(progress.total_bytes / 1024) + " KiB";
  }
  return text;
}

// The owner's published checks of the first TCP port; a plain connection where it has none.
std::vector<Check> checks_of(const SnapshotConfig& config) {
  std::vector<Check> checks;
  for (const std::string& text : config.checks) {
    auto check = Check::parse(text);
    if (check.ok() && check->is_public()) checks.push_back(std::move(*check));
  }
  if (checks.empty()) checks.push_back({"tcp:", TcpCheck{}});
  return checks;
}

// The machine's private disk, <folder>/<manifest's digits>.cow. A machine that boots finds its own
// writes again; one that is resumed needs the disk of the same instant as its memory, so its writes
// end with it. Disks of other manifests are removed.
Result<std::filesystem::path> prepare_disk(const BlobStore& store, const LocalSnapshot& snapshot,
                                           const std::filesystem::path& folder) {
  const std::string name = snapshot.manifest.digest().hex() + ".cow";
  const bool boots = snapshot.manifest.layers().memory.empty();
  std::error_code problem;
  for (std::filesystem::directory_iterator file(folder, problem), end; !problem && file != end;
       file.increment(problem)) {
    const std::string other = file->path().filename().string();
    const bool is_disk = other.ends_with(".cow") || other.ends_with(".new");
    if (is_disk && (!boots || other != name)) ::unlink(file->path().c_str());
  }
  auto path = folder / name;
  if (::access(path.c_str(), F_OK) != 0) {
    TRY(restore_disk(store, snapshot.manifest.layers(), path));
  }
  return path;
}

// No machine any more.
void set_idle(ReplicaStatus& status, Phase phase) {
  status.phase = phase;
  status.ports.clear();
  status.pid = -1;
}

}  // namespace

const char* to_string(Phase phase) {
  switch (phase) {
    case Phase::preparing:
      return "preparing";
    case Phase::fetching:
      return "fetching";
    case Phase::booting:
      return "booting";
    case Phase::answering:
      return "starting";
    case Phase::committed:
      return "committed";
    case Phase::uncommitted:
      return "uncommitted";
    case Phase::waiting:
      return "waiting";
    case Phase::stopped:
      return "stopped";
  }
  return "";
}

std::filesystem::path Replica::console_log(const std::filesystem::path& machines,
                                           const std::string& service) {
  return machines / service / "console.log";
}

Replica::Replica(const ReplicaSurroundings& surroundings, JournalEntry entry,
                 AddressPool::Lease place,
                 std::function<Result<void>(const JournalEntry::Held&)> on_held)
    : surroundings_(surroundings),
      entry_(std::move(entry)),
      place_(std::move(place)),
      on_held_(std::move(on_held)),
      folder_(surroundings.machines / entry_.service),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  status_.private_address = place_.address();
  thread_ = std::jthread([this](std::stop_token stop) { run(std::move(stop)); });
}

Replica::~Replica() {
  request_stop();
  thread_.join();
}

void Replica::request_stop() {
  thread_.request_stop();
  wake();
}

void Replica::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
}

void Replica::adopt(const JournalEntry::Held& held) {
  {
    const std::lock_guard lock(mutex_);
    adopted_ = held;
  }
  wake();
}

ReplicaStatus Replica::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

std::uint64_t Replica::wait_change(std::uint64_t version, milliseconds timeout) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, timeout, [&] { return version_ != version; });
  return version_;
}

template <typename Change>
void Replica::update(Change change) {
  {
    const std::lock_guard lock(mutex_);
    change(status_);
    ++version_;
  }
  changed_.notify_all();
}

void Replica::run(std::stop_token stop) {
  milliseconds next_pause = kFirstPause;
  while (!stop.stop_requested()) {
    serving_since_.reset();
    const auto ended = run_once(stop);
    surroundings_.registrar.withdraw(name_);
    if (stop.stop_requested()) break;
    const bool was_healthy = serving_since_ && steady_clock::now() - *serving_since_ > kHealthy;
    if (was_healthy) next_pause = kFirstPause;
    log::warning("replica.failed", {{"service", entry_.service},
                                    {"reason", ended.error().message()},
                                    {"retry_milliseconds", next_pause.count()}});
    update([&](ReplicaStatus& status) {
      set_idle(status, Phase::waiting);
      status.detail = ended.error().message();
      ++status.failures;
    });
    // wake() ends the pause: somebody wants an attempt now.
    if (!stop.stop_requested()) wait_event(nullptr, next_pause);
    next_pause = std::min(kLongestPause, next_pause * 2);
  }
  update([](ReplicaStatus& status) {
    set_idle(status, Phase::stopped);
    status.detail.clear();
  });
}

Result<void> Replica::run_once(std::stop_token stop) {
  name_ = TRY(surroundings_.directory.names().service(entry_.service));
  std::error_code problem;
  std::filesystem::create_directories(folder_ / "run", problem);
  if (problem) return errno_error(problem.value(), "create " + folder_.string());
  LocalSnapshot snapshot = TRY(obtain(stop));
  Incarnation current = TRY(bring_up(std::move(snapshot), stop));
  show(current);
  const auto served = serve(current, stop);
  end_retired(true);
  if (current.machine->state() == vm::State::exited) {
    update([](ReplicaStatus& status) {
      ++status.restarts;
      set_idle(status, Phase::waiting);
    });
  } else {
    // Clients go elsewhere before the machine does.
    surroundings_.registrar.withdraw(name_);
    end(*current.machine);
  }
  return served;
}

Result<Replica::Incarnation> Replica::bring_up(LocalSnapshot snapshot, std::stop_token stop) {
  const auto disk = TRY(prepare_disk(surroundings_.store, snapshot, folder_));
  auto machine = TRY(start_machine(snapshot, disk, stop));
  if (auto answered = await_answer(*machine, snapshot, stop); !answered.ok()) {
    // What the machine wrote may be what keeps it from starting.
    if (!stop.stop_requested()) ::unlink(disk.c_str());
    end(*machine);
    return answered.error();
  }
  return Incarnation{std::move(snapshot), std::move(machine)};
}

Result<LocalSnapshot> Replica::obtain(std::stop_token stop) {
  const auto on_progress = [&](const FetchProgress& progress) {
    set_phase(Phase::fetching);
    update([&](ReplicaStatus& status) { status.detail = describe(progress); });
  };
  set_phase(Phase::preparing);
  {
    const std::lock_guard lock(mutex_);
    if (adopted_) entry_.held = std::exchange(adopted_, std::nullopt);
  }
  LocalSnapshot snapshot =
      TRY(acquire(surroundings_.directory, surroundings_.store, entry_.service,
                  surroundings_.own_peer, entry_.held, surroundings_.limits, on_progress, stop));
  if (entry_.held != snapshot.held()) {
    TRY(on_held_(snapshot.held()));
    entry_.held = snapshot.held();
  }
  surroundings_.offers.set(entry_.service, snapshot.offer());
  return snapshot;
}

Result<std::unique_ptr<vm::Machine>> Replica::start_machine(const LocalSnapshot& snapshot,
                                                            const std::filesystem::path& scratch,
                                                            std::stop_token stop) {
  const SnapshotLayers& layers = snapshot.manifest.layers();
  vm::MachineSpec spec;
  spec.name = machine_name(entry_.service);
  spec.kernel = surroundings_.store.path_of(layers.kernel.digest);
  spec.base_disk = surroundings_.store.path_of(layers.base_disk.digest);
  spec.scratch_disk = scratch;
  spec.memory_bytes = std::uint64_t{snapshot.config.memory_mib} << 20;
  spec.address = place_.address();
  if (!layers.memory.empty()) {
    spec.memory_snapshot = TRY(restore_memory(surroundings_.store, layers, stop));
    spec.address = snapshot.config.address;
  }
  spec.outbound = snapshot.config.outbound ? vm::Outbound::yes : vm::Outbound::no;
  spec.console_log = console_log(surroundings_.machines, entry_.service);
  spec.run_dir = folder_ / "run";
  if (snapshot.config.own_identity) spec.instance = trust::random_hex(16);
  std::set<std::uint16_t> taken;
  for (const ServicePort& port : snapshot.config.ports) {
    const bool tcp = port.transport == Transport::tcp;
    const std::uint16_t host_port =
        TRY(pick_port(surroundings_.addresses, tcp ? PortKind::tcp : PortKind::udp,
                      surroundings_.host_ports, taken));
    taken.insert(host_port);
    for (const SocketAddress& address : surroundings_.addresses) {
      spec.ports.push_back({protocol_of(port.transport), address.address_to_text(), host_port,
                            host_port, port.number});
    }
  }
  set_phase(Phase::booting);
  TRY(surroundings_.store.make_executable(layers.kernel.digest));
  vm::Engine* const engine = TRY(vm::find_engine(surroundings_.engines, snapshot.config.engine));
  auto machine = TRY(engine->start(spec));
  TRY(machine->wait_for(vm::State::running, kStartTimeout));
  if (machine->state() == vm::State::exited) {
    return Error(std::string("the machine did not start: ") +
                 (machine->exit() ? machine->exit()->detail : "unknown"));
  }
  set_phase(Phase::answering);
  return machine;
}

// The first TCP port decides. An answer that is not what the owner's check wants is an answer as
// well, after a time to warm up: whether it is good enough is for the owner's audit to say.
Result<void> Replica::await_answer(vm::Machine& machine, const LocalSnapshot& snapshot,
                                   std::stop_token stop) {
  const auto tcp = std::ranges::find(machine.ports(), vm::Protocol::tcp, &vm::BoundPort::protocol);
  if (tcp == machine.ports().end()) return {};
  SocketAddress address = surroundings_.addresses.front();
  address.set_port(tcp->host_port);
  const std::vector<Check> checks = checks_of(snapshot.config);
  const auto deadline = steady_clock::now() + kAnswerTimeout;
  std::optional<steady_clock::time_point> first_answer;
  Finding last;
  while (steady_clock::now() < deadline) {
    for (const Check& check : checks) {
      last = run_check(check, address, entry_.service, seconds(5), stop);
      if (last.outcome != Outcome::passed) break;
    }
    if (stop.stop_requested()) return Error("stopped");
    if (last.outcome == Outcome::passed) return {};
    if (last.outcome == Outcome::altered) {
      if (!first_answer) first_answer = steady_clock::now();
      if (steady_clock::now() - *first_answer > kWarmUp) return {};
    }
    wait_event(&machine, milliseconds(100));
    if (machine.state() == vm::State::exited) {
      return Error("the machine ended before its service answered: " + machine.exit()->detail);
    }
  }
  return Error("the service did not answer in time: " + last.detail);
}

Result<void> Replica::commit_all(const Incarnation& incarnation) {
  std::set<std::uint16_t> committed;
  for (const vm::BoundPort& port : incarnation.machine->ports()) {
    if (!committed.insert(port.host_port).second) continue;  // the same port of another address
    TRY(surroundings_.registrar.commit({name_, port.guest_port, vm::to_string(port.protocol),
                                        port.host_port, incarnation.snapshot.manifest.digest()}));
  }
  return {};
}

bool Replica::commit(const Incarnation& incarnation) {
  const auto accepted = commit_all(incarnation);
  update([&](ReplicaStatus& status) {
    status.phase = accepted.ok() ? Phase::committed : Phase::uncommitted;
    status.detail = accepted.ok() ? "" : accepted.error().message();
    if (accepted.ok()) status.failures = 0;
  });
  if (accepted.ok()) {
    log::info("replica.committed",
              {{"service", entry_.service},
               {"manifest", incarnation.snapshot.manifest.digest().to_text()}});
  } else {
    log::warning("replica.uncommitted",
                 {{"service", entry_.service}, {"reason", accepted.error().message()}});
  }
  return accepted.ok();
}

Result<void> Replica::serve(Incarnation& current, std::stop_token stop) {
  serving_since_ = steady_clock::now();
  bool committed = false;
  // Jitter, so that not all replicas of a service are replaced in the same second.
  const auto next_look_time = [this] {
    const auto watch = surroundings_.watch;
    return steady_clock::now() + watch / 2 + watch * (trust::random_u32() % 1000) / 1000;
  };
  auto next_look = next_look_time();
  while (!stop.stop_requested()) {
    if (!committed) committed = commit(current);
    const auto until_look = std::chrono::ceil<milliseconds>(next_look - steady_clock::now());
    const Event event = wait_event(
        current.machine.get(), committed ? std::max(milliseconds(0), until_look) : kCommitRetry);
    if (current.machine->state() == vm::State::exited) {
      return Error(std::string("the machine ended: ") +
                   vm::to_string(current.machine->exit()->reason) + " " +
                   current.machine->exit()->detail);
    }
    end_retired(false);
    if (event == Event::woken || steady_clock::now() >= next_look) {
      if (auto newer = TRY(look_at_zone(current.snapshot, stop))) {
        replace(current, std::move(*newer), stop);
      }
      next_look = next_look_time();
    }
  }
  return {};
}

Result<std::optional<LocalSnapshot>> Replica::look_at_zone(const LocalSnapshot& snapshot,
                                                           std::stop_token stop) {
  const std::optional<LocalSnapshot> none;
  const auto record = surroundings_.directory.service(name_);
  // An authority that is away takes nothing from a service that runs.
  if (!record.ok()) return none;
  if (!*record) return Error("the owner withdrew " + entry_.service);
  const auto untrusted = untrusted_base(surroundings_.directory, snapshot.manifest.base_labels());
  if (untrusted.ok() && !untrusted->empty()) {
    log::error("replica.base_untrusted", {{"service", entry_.service}, {"reason", *untrusted}});
    return Error(*untrusted);
  }
  if ((*record)->manifest == snapshot.manifest.digest()) return none;
  log::info("replica.new_manifest",
            {{"service", entry_.service}, {"manifest", (*record)->manifest.to_text()}});
  auto newer = obtain(stop);
  if (newer.ok()) return std::optional(std::move(*newer));
  note_roll_over_failure(newer.error());
  return none;
}

void Replica::replace(Incarnation& current, LocalSnapshot newer, std::stop_token stop) {
  auto next = bring_up(std::move(newer), stop);
  if (next.ok()) {
    if (auto accepted = commit_all(*next); !accepted.ok()) {
      end(*next->machine);
      next = accepted.error();
    }
  }
  if (!next.ok()) return note_roll_over_failure(next.error());
  std::swap(current, *next);
  retired_.push_back({std::move(next->machine), steady_clock::now() + kDrain});
  show(current);
  log::info("replica.replaced", {{"service", entry_.service},
                                 {"manifest", current.snapshot.manifest.digest().to_text()}});
}

void Replica::note_roll_over_failure(const Error& error) {
  update([&](ReplicaStatus& status) {
    status.detail = error.message();
    ++status.failures;
  });
  log::warning("replica.new_manifest_failed",
               {{"service", entry_.service}, {"reason", error.message()}});
}

// Without asking: their disks go with them.
void Replica::end_retired(bool all) {
  std::erase_if(retired_, [&](const Retired& retired) {
    return all || steady_clock::now() >= retired.until;
  });
}

// While a machine serves, its phase and its detail stay: the next one is brought up beside it.
void Replica::set_phase(Phase phase) {
  if (serving_since_) return;
  update([&](ReplicaStatus& status) {
    status.phase = phase;
    status.detail.clear();
  });
}

void Replica::show(const Incarnation& incarnation) {
  const bool resumed = !incarnation.snapshot.manifest.layers().memory.empty();
  update([&](ReplicaStatus& status) {
    status.detail.clear();
    status.manifest = incarnation.snapshot.manifest.digest();
    status.memory_mib = incarnation.snapshot.config.memory_mib;
    status.private_address = resumed ? incarnation.snapshot.config.address : place_.address();
    status.ports = incarnation.machine->ports();
    status.pid = incarnation.machine->pid();
  });
}

void Replica::end(vm::Machine& machine) {
  machine.stop(kStopGrace);
  if (auto ended = machine.wait_for(vm::State::exited, kStopGrace + seconds(5)); !ended.ok()) {
    log::warning("replica.machine_stays",
                 {{"service", entry_.service}, {"reason", ended.error().message()}});
  }
}

Replica::Event Replica::wait_event(vm::Machine* machine, milliseconds timeout) {
  pollfd entries[] = {{wake_.get(), POLLIN, 0}, {machine ? machine->event_fd() : -1, POLLIN, 0}};
  if (::poll(entries, 2, static_cast<int>(timeout.count())) <= 0) return Event::none;
  if (machine && entries[1].revents != 0) machine->handle_readable();
  if (entries[0].revents == 0) return Event::machine;
  std::uint64_t count = 0;
  [[maybe_unused]] const auto drained = ::read(wake_.get(), &count, sizeof count);
  return Event::woken;
}

}  // namespace mutua::peer
