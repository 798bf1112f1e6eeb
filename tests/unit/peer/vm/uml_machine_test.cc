#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "unit/peer/vm/machine_fixture.h"

namespace mutua::vm {
namespace {

using UmlMachine = MachineTest;

TEST_F(UmlMachine, ServesAPageThroughItsMappedPort) {
  const MachineSpec spec = make_spec("serve");
  const auto begin = steady_clock::now();
  const auto machine = boot(spec);
  ASSERT_TRUE(machine);
  ASSERT_EQ(machine->ports().size(), 1u);
  EXPECT_NE(machine->ports()[0].host_port, 0);
  std::string page;
  ASSERT_TRUE(eventually([&] { return !(page = fetch(machine->ports()[0].host_port)).empty(); }));
  const auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin);
  RecordProperty("boot_to_first_answer_ms", static_cast<int>(took.count()));
  std::cout << "boot to the first HTTP answer: " << took.count() << " ms\n";
  EXPECT_NE(page.find("200 OK"), std::string::npos) << page;
  EXPECT_NE(page.find("This machine runs"), std::string::npos) << page;
}

TEST_F(UmlMachine, StopsWhenAskedAndLeavesACleanDisk) {
  const MachineSpec spec = make_spec("stop");
  const auto machine = boot(spec);
  ASSERT_TRUE(machine);
  ASSERT_TRUE(eventually([&] { return !fetch(machine->ports()[0].host_port).empty(); }));
  machine->stop(milliseconds(20'000));
  ASSERT_TRUE(machine->wait_for(State::exited, kPatience).ok());
  EXPECT_EQ(machine->exit()->reason, Exit::Reason::halted) << machine->exit()->detail;
  EXPECT_TRUE(processes_with(host_argument(spec)).empty());
  // A clean file system: its journal needs no recovery, bit 2 of the superblock's
  // s_feature_incompat.
  const auto cow = uml::CowFile::open(spec.scratch_disk);
  ASSERT_TRUE(cow.ok()) << cow.error().message();
  const UniqueFd base(::open(base_.c_str(), O_RDONLY | O_CLOEXEC));
  const auto block = cow->read_block(0, base.get());
  ASSERT_TRUE(block.ok());
  EXPECT_EQ((*block)[1024 + 0x60] & 4, 0);
}

std::string status_of(pid_t pid, const std::string& field) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(field + ":\t")) return line.substr(field.size() + 2);
  }
  return {};
}

// The folder of `controller` in which a process stands, for either generation of cgroups.
std::filesystem::path group_of(pid_t pid, const std::string& controller) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/cgroup");
  std::filesystem::path second_generation;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string number, controllers, path;
    std::getline(fields, number, ':');
    std::getline(fields, controllers, ':');
    std::getline(fields, path);
    if (controllers == controller) return "/sys/fs/cgroup/" + controller + path;
    if (controllers.empty()) second_generation = "/sys/fs/cgroup" + path;
  }
  return second_generation;
}

// Starts a machine in a daemon of its own, which then waits to be killed.
struct DaemonProcess {
  DaemonProcess(uml::UmlEngine& engine, const MachineSpec& spec) {
    int report[2];
    EXPECT_EQ(::pipe2(report, O_CLOEXEC), 0);
    pid = ::fork();
    if (pid == 0) {
      auto machine = engine.start(spec);
      // The guest has processes of its own by the time it serves.
      if (machine.ok() && (*machine)->wait_for(State::running, kPatience).ok() &&
          (*machine)->state() == State::running &&
          eventually([&] { return !fetch((*machine)->ports()[0].host_port).empty(); })) {
        machine_pid = (*machine)->pid();
      }
      (void)!::write(report[1], &machine_pid, sizeof machine_pid);
      for (;;) ::pause();
    }
    ::close(report[1]);
    EXPECT_EQ(::read(report[0], &machine_pid, sizeof machine_pid),
              static_cast<ssize_t>(sizeof machine_pid));
    ::close(report[0]);
  }
  ~DaemonProcess() {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  pid_t pid = -1;
  pid_t machine_pid = -1;
};

TEST_F(UmlMachine, RunsAServiceFromItsDeltaAloneAndWithoutAWayOut) {
  MachineSpec spec = make_spec("outbound");
  const Listener loopback("127.0.0.1");
  const Listener everywhere("0.0.0.0");
  std::string script = "#!/bin/sh\nmkdir -p /tmp/www\n";
  for (const std::string& target : {"10.255.255.254 " + std::to_string(loopback.port),
                                    "127.0.0.1 " + std::to_string(loopback.port),
                                    "10.255.255.254 " + std::to_string(everywhere.port),
                                    std::string("10.255.255.253 53"), std::string("1.1.1.1 53")}) {
    script += "nc -w 1 " + target + " < /dev/null && echo reached " + target +
              " >> /tmp/www/index.html\n";
  }
  script += "echo tried >> /tmp/www/index.html\nexec httpd -f -p 80 -h /tmp/www\n";
  install_service(spec, folder_, script);
  const auto machine = boot(spec);
  ASSERT_TRUE(machine);
  std::string page;
  ASSERT_TRUE(eventually([&] {
    page = fetch(machine->ports()[0].host_port);
    return page.find("tried") != std::string::npos;
  }));
  EXPECT_EQ(page.find("reached"), std::string::npos) << page;
  EXPECT_FALSE(loopback.heard_anyone());
  EXPECT_FALSE(everywhere.heard_anyone());
}

TEST_F(UmlMachine, SeveralRunSideBySide) {
  std::vector<std::unique_ptr<Machine>> machines;
  for (const char* label : {"one", "two", "three"}) {
    const MachineSpec spec = make_spec(label);
    auto machine = engine_.start(spec);
    ASSERT_TRUE(machine.ok());
    machines.push_back(std::move(*machine));
  }
  for (const auto& machine : machines) {
    ASSERT_TRUE(machine->wait_for(State::running, kPatience).ok());
    ASSERT_EQ(machine->state(), State::running);
    EXPECT_TRUE(eventually([&] { return !fetch(machine->ports()[0].host_port).empty(); }));
  }
}

TEST_F(UmlMachine, HasAHostPortWithinItsRange) {
  MachineSpec spec = make_spec("range");
  const Listener taken("127.0.0.1");
  spec.ports[0].host_port_first = taken.port;
  spec.ports[0].host_port_last = static_cast<std::uint16_t>(taken.port + 20);
  const auto machine = boot(spec);
  ASSERT_TRUE(machine);
  ASSERT_EQ(machine->ports().size(), 1u);
  EXPECT_GT(machine->ports()[0].host_port, taken.port);
  EXPECT_LE(machine->ports()[0].host_port, taken.port + 20);
}

TEST_F(UmlMachine, FailsWithAReasonWhenItCannotStart) {
  const auto failure_of = [&](const MachineSpec& spec) -> std::string {
    auto machine = engine_.start(spec);
    EXPECT_TRUE(machine.ok());
    EXPECT_TRUE((*machine)->wait_for(State::running, kPatience).ok());
    EXPECT_EQ((*machine)->state(), State::exited);
    if (!(*machine)->exit()) return {};
    EXPECT_EQ((*machine)->exit()->reason, Exit::Reason::failed);
    return (*machine)->exit()->detail;
  };
  MachineSpec spec = make_spec("fail");
  spec.kernel = folder_ / "absent";
  EXPECT_NE(failure_of(spec).find("absent"), std::string::npos);
  spec.kernel = base_;
  EXPECT_NE(failure_of(spec).find("execute"), std::string::npos) << "not a program";
  spec.kernel = kernel_;
  spec.scratch_disk = folder_;
  EXPECT_NE(failure_of(spec).find("directory"), std::string::npos);

  const Listener taken("127.0.0.1");
  spec = make_spec("port");
  spec.ports[0].host_port_first = spec.ports[0].host_port_last = taken.port;
  EXPECT_NE(failure_of(spec).find(std::to_string(taken.port)), std::string::npos);

  uml::UmlEngine no_engine(folder_ / "absent");
  EXPECT_FALSE(no_engine.start(make_spec("engine")).ok());
}

TEST_F(UmlMachine, KilledDaemonLeavesNoProcess) {
  const MachineSpec spec = make_spec("orphan");
  {
    DaemonProcess daemon(engine_, spec);
    ASSERT_GT(daemon.machine_pid, 0);
    ASSERT_GT(processes_with(host_argument(spec)).size(), 1u) << "the kernel and at least a stub";
    ASSERT_FALSE(processes_with(std::to_string(daemon.pid)).empty());
    ASSERT_EQ(::kill(daemon.pid, SIGKILL), 0);
    EXPECT_TRUE(eventually([&] { return processes_with(host_argument(spec)).empty(); },
                           milliseconds(5000)));
    EXPECT_TRUE(eventually([&] { return processes_with(std::to_string(daemon.pid)).empty(); },
                           milliseconds(5000)))
        << "mutua-machine itself, its keeper, its network";
  }
}

TEST_F(UmlMachine, KilledWatcherLeavesNoProcess) {
  const MachineSpec spec = make_spec("watcher");
  const auto machine = boot(spec);
  ASSERT_TRUE(machine);
  ASSERT_TRUE(eventually([&] { return !fetch(machine->ports()[0].host_port).empty(); }));
  ASSERT_FALSE(processes_with(host_argument(spec)).empty());
  ASSERT_EQ(::kill(machine->pid(), SIGKILL), 0);
  ASSERT_TRUE(machine->wait_for(State::exited, kPatience).ok());
  EXPECT_EQ(machine->exit()->reason, Exit::Reason::killed);
  EXPECT_TRUE(
      eventually([&] { return processes_with(host_argument(spec)).empty(); }, milliseconds(5000)));
}

TEST_F(UmlMachine, DestructionLeavesNoProcessAndNoGroup) {
  const MachineSpec spec = make_spec("gone");
  auto machine = boot(spec);
  ASSERT_TRUE(machine);
  const auto kernels = processes_with(host_argument(spec));
  ASSERT_FALSE(kernels.empty());
  const auto group = group_of(kernels[0], "memory");
  machine.reset();
  EXPECT_TRUE(processes_with(host_argument(spec)).empty());
  if (group.filename().string().starts_with("mutua-machine-")) {
    EXPECT_FALSE(std::filesystem::exists(group)) << group;
  }
}

// The mutua-machine processes of this one that are no machine of its yet.
std::vector<pid_t> ready_processes() { return processes_with(std::to_string(::getpid())); }

TEST_F(UmlMachine, AProcessStandsReadyForTheNextMachineAndIsReplaced) {
  uml::UmlEngine engine(test::build_folder() / "bin/mutua-machine");
  engine.keep_one_ready();
  // mutua-machine, its keeper, its network.
  ASSERT_TRUE(eventually([] { return ready_processes().size() == 3; }));
  const auto ready = ready_processes();
  const MachineSpec spec = make_spec("ready");
  auto machine = engine.start(spec);
  ASSERT_TRUE(machine.ok()) << machine.error().message();
  EXPECT_NE(std::find(ready.begin(), ready.end(), (*machine)->pid()), ready.end());
  ASSERT_TRUE((*machine)->wait_for(State::running, kPatience).ok());
  EXPECT_TRUE(eventually([&] { return !fetch((*machine)->ports()[0].host_port).empty(); }));
  EXPECT_TRUE(eventually([] { return ready_processes().size() == 6; })) << "another is ready";
  machine->reset();
  EXPECT_TRUE(eventually([] { return ready_processes().size() == 3; }));
}

TEST_F(UmlMachine, AReadyProcessThatDiedIsNotUsed) {
  uml::UmlEngine engine(test::build_folder() / "bin/mutua-machine");
  engine.keep_one_ready();
  // mutua-machine itself, or a child of its.
  for (const bool itself : {true, false}) {
    ASSERT_TRUE(eventually([] { return ready_processes().size() == 3; }));
    pid_t warden = -1, victim = -1;
    for (const pid_t pid : ready_processes()) {
      const bool is_warden = status_of(pid, "PPid") == std::to_string(::getpid());
      if (is_warden) warden = pid;
      if (is_warden == itself) victim = pid;
    }
    ASSERT_GT(victim, 0);
    ASSERT_EQ(::kill(victim, SIGKILL), 0);
    // Gone with all its threads, and so its end of the channel; not reaped.
    ASSERT_TRUE(eventually([&] {
      siginfo_t ended{};
      const int answer =
          ::waitid(P_PID, static_cast<id_t>(warden), &ended, WEXITED | WNOHANG | WNOWAIT);
      return answer == 0 && ended.si_pid == warden;
    }));
    auto machine = engine.start(make_spec(itself ? "fresh" : "fresher"));
    ASSERT_TRUE(machine.ok()) << machine.error().message();
    ASSERT_TRUE((*machine)->wait_for(State::running, kPatience).ok());
    EXPECT_EQ((*machine)->state(), State::running);
  }
}

TEST_F(UmlMachine, AnEngineTakesItsReadyProcessAlong) {
  {
    uml::UmlEngine engine(test::build_folder() / "bin/mutua-machine");
    engine.keep_one_ready();
    ASSERT_TRUE(eventually([] { return ready_processes().size() == 3; }));
  }
  EXPECT_TRUE(ready_processes().empty());
}

TEST_F(UmlMachine, LivesInAJail) {
  const MachineSpec spec = make_spec("jail");
  const auto machine = boot(spec);
  ASSERT_TRUE(machine);
  ASSERT_TRUE(eventually([&] { return !fetch(machine->ports()[0].host_port).empty(); }));
  const auto kernels = processes_with(host_argument(spec));
  ASSERT_GT(kernels.size(), 1u) << "the kernel and at least a stub";
  for (const pid_t pid : kernels) {
    EXPECT_EQ(status_of(pid, "Seccomp"), "2");
    EXPECT_EQ(status_of(pid, "NoNewPrivs"), "1");
    for (const char* set : {"CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"}) {
      EXPECT_EQ(status_of(pid, set), "0000000000000000") << set;
    }
    if (::geteuid() == 0) {
      EXPECT_FALSE(status_of(pid, "Uid").starts_with("0\t"));
    }
    for (const char* space : {"mnt", "pid", "ipc", "uts", "net"}) {
      EXPECT_NE(std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/ns/" + space),
                std::filesystem::read_symlink(std::string("/proc/self/ns/") + space))
          << space;
    }
    std::vector<std::string> root;
    const std::filesystem::path top = "/proc/" + std::to_string(pid) + "/root/";
    for (const auto& entry : std::filesystem::directory_iterator(top)) {
      root.push_back(entry.path().filename());
    }
    std::sort(root.begin(), root.end());
    EXPECT_EQ(root,
              (std::vector<std::string>{"base.img", "linux", "scratch.cow", "snapshot", "tmp"}));
  }
  // The network process is not traceable, so that only root can look at it: alone, in the host's
  // network, with an empty root.
  if (::geteuid() != 0) return;
  int networks = 0;
  for (const pid_t pid : processes_with(std::to_string(::getpid()))) {
    const std::string spaces = "/proc/" + std::to_string(pid) + "/ns/";
    if (status_of(pid, "Seccomp") != "2") continue;
    if (std::filesystem::read_symlink(spaces + "net") !=
        std::filesystem::read_symlink("/proc/self/ns/net")) {
      continue;
    }
    ++networks;
    EXPECT_EQ(status_of(pid, "CapEff"), "0000000000000000");
    EXPECT_FALSE(status_of(pid, "Uid").starts_with("0\t"));
    for (const char* space : {"mnt", "pid", "ipc", "uts"}) {
      EXPECT_NE(std::filesystem::read_symlink(spaces + space),
                std::filesystem::read_symlink(std::string("/proc/self/ns/") + space));
    }
    EXPECT_TRUE(std::filesystem::is_empty("/proc/" + std::to_string(pid) + "/root/"));
  }
  EXPECT_EQ(networks, 1);
}

TEST_F(UmlMachine, StaysOnOneProcessor) {
  const MachineSpec spec = make_spec("processor");
  const auto machine = boot(spec);
  ASSERT_TRUE(machine);
  ASSERT_TRUE(eventually([&] { return !fetch(machine->ports()[0].host_port).empty(); }));
  for (const pid_t pid : processes_with(host_argument(spec))) {
    const std::string list = status_of(pid, "Cpus_allowed_list");
    EXPECT_EQ(list.find_first_not_of("0123456789"), std::string::npos) << list;
  }
}

TEST_F(UmlMachine, LivesWithinItsLimits) {
  MachineSpec spec = make_spec("limits");
  spec.limits.cpu_percent = 50;
  spec.limits.processes = 100;
  const auto machine = boot(spec);
  ASSERT_TRUE(machine);
  const auto kernels = processes_with(host_argument(spec));
  ASSERT_FALSE(kernels.empty());
  std::ifstream limits("/proc/" + std::to_string(kernels[0]) + "/limits");
  bool process_limit_seen = false;
  for (std::string line; std::getline(limits, line);) {
    if (!line.starts_with("Max processes")) continue;
    process_limit_seen = true;
    EXPECT_NE(line.find(" 100 "), std::string::npos) << line;
  }
  EXPECT_TRUE(process_limit_seen);

  const auto memory = group_of(kernels[0], "memory");
  if (!memory.filename().string().starts_with("mutua-machine-")) {
    GTEST_SKIP() << "this host lets nobody make control groups here: " << memory;
  }
  const bool second = std::filesystem::exists(memory / "memory.max");
  const std::uint64_t expected = (64 << 20) + (16 << 20) + (64 << 20);
  EXPECT_EQ(std::stoull(read_text(memory / (second ? "memory.max" : "memory.limit_in_bytes"))),
            expected);
  const auto pids = group_of(kernels[0], "pids");
  EXPECT_EQ(std::stoull(read_text(pids / "pids.max")), 100u);
  const auto cpu = group_of(kernels[0], "cpu");
  const std::string quota = read_text(cpu / (second ? "cpu.max" : "cpu.cfs_quota_us"));
  EXPECT_EQ(quota.rfind("50000", 0), 0u) << quota;
}

TEST_F(UmlMachine, GuestThatWantsMoreMemoryThanItsMachineHasStaysWithin) {
  MachineSpec spec = make_spec("hungry");
  install_service(spec, folder_,
                  "#!/bin/sh\n"
                  "dd if=/dev/zero of=/dev/shm/fill bs=1M count=200 2>/dev/null\n"
                  "rm -f /dev/shm/fill\n"
                  "exec httpd -f -p 80 -h /www\n");
  const auto machine = boot(spec);
  ASSERT_TRUE(machine);
  EXPECT_TRUE(eventually([&] { return !fetch(machine->ports()[0].host_port).empty(); }))
      << "the guest ran out of its own memory, and goes on";
}

TEST_F(UmlMachine, GuestThatForksWithoutEndStaysWithin) {
  MachineSpec spec = make_spec("bomb");
  spec.limits.processes = 40;
  install_service(spec, folder_,
                  "#!/bin/sh\n"
                  "httpd -p 80 -h /www\n"
                  "while true; do sleep 1000 & done\n");
  const auto machine = boot(spec);
  ASSERT_TRUE(machine);
  EXPECT_TRUE(eventually(
      [&] { return read_text(spec.console_log).find("can't fork") != std::string::npos; }));
  EXPECT_LE(processes_with(host_argument(spec)).size(), 40u);
  machine->handle_readable();
  EXPECT_EQ(machine->state(), State::running) << "the guest is refused, not ended";
}

TEST_F(UmlMachine, PanickedGuestIsReportedAsCrashed) {
  // A scratch disk above a base that holds no file system: no root to mount.
  MachineSpec spec = make_spec("crash");
  std::filesystem::remove(spec.scratch_disk);
  spec.base_disk = folder_ / "empty.img";
  std::ofstream(spec.base_disk).close();
  std::filesystem::resize_file(spec.base_disk, 1 << 20);
  ASSERT_TRUE(uml::CowFile::create(spec.scratch_disk, spec.base_disk).ok());
  auto machine = engine_.start(spec);
  ASSERT_TRUE(machine.ok());
  ASSERT_TRUE((*machine)->wait_for(State::exited, kPatience).ok());
  EXPECT_EQ((*machine)->exit()->reason, Exit::Reason::crashed) << (*machine)->exit()->detail;
  EXPECT_NE(read_text(spec.console_log).find("Unable to mount root"), std::string::npos);
}

}  // namespace
}  // namespace mutua::vm
