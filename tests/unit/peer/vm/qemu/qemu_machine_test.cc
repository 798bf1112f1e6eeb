#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "peer/vm/qemu/memory_file.h"
#include "peer/vm/qemu/qemu_engine.h"
#include "unit/peer/vm/machine_fixture.h"

namespace mutua::vm {
namespace {

// Machines whose service holds its state in memory: /count tells how often it was asked, and 16
// random bytes.
class QemuMachine : public MachineTest {
 protected:
  static constexpr const char* kService =
      "#!/bin/sh\n"
      "mkdir -p /dev/shm/www/cgi-bin\n"
      "echo 0 > /dev/shm/visits\n"
      "cat > /dev/shm/www/cgi-bin/count <<'END'\n"
      "#!/bin/sh\n"
      "read -r visits < /dev/shm/visits\n"
      "echo $((visits + 1)) > /dev/shm/visits\n"
      "printf 'Content-Type: text/plain\\r\\n\\r\\n'\n"
      "echo \"$((visits + 1)) $(head -c 16 /dev/urandom | md5sum)\"\n"
      "END\n"
      "chmod +x /dev/shm/www/cgi-bin/count\n"
      "exec httpd -f -p 80 -h /dev/shm/www\n";

  struct Visit {
    int count = 0;
    std::string random;
  };

  void SetUp() override {
#ifdef __SANITIZE_THREAD__
    // setns(2) refuses to take one of several threads into a mount namespace.
    GTEST_SKIP() << "ThreadSanitizer's own thread keeps a process out of the jail's namespace";
#endif
    const auto available = qemu_.available();
    if (!available.ok()) GTEST_SKIP() << "no machine is booted: " << available.error().message();
    MachineTest::SetUp();
  }

  const char* kernel_variable() const override { return "MUTUA_QEMU_KERNEL"; }
  Engine& engine() override { return qemu_; }

  // Zero visits when nobody answers.
  static Visit visit(const Machine& machine) {
    const std::string page = fetch(machine.ports()[0].host_port, "/cgi-bin/count");
    const auto body = page.find("\r\n\r\n");
    Visit visit;
    if (body == std::string::npos) return visit;
    std::istringstream words(page.substr(body + 4));
    words >> visit.count >> visit.random;
    return visit;
  }

  std::unique_ptr<Machine> boot_counter(const MachineSpec& spec) {
    install_service(spec, folder_, kService);
    auto machine = boot(spec);
    if (machine) {
      EXPECT_TRUE(eventually([&] { return visit(*machine).count > 0; }));
    }
    return machine;
  }

  // The spec of a machine that goes on from `request`'s files, with a disk of its own.
  static MachineSpec resumed_spec(MachineSpec spec, const SnapshotRequest& request,
                                  const std::string& label) {
    spec.name = label + '-' + std::to_string(::getpid());
    spec.scratch_disk.replace_filename(label + ".cow");
    spec.console_log.replace_filename(label + ".log");
    spec.memory_snapshot = request.memory_file;
    std::filesystem::copy_file(request.disk_copy, spec.scratch_disk);
    return spec;
  }

  qemu::QemuEngine qemu_{test::build_folder() / "bin/mutua-machine"};
};

TEST_F(QemuMachine, ServesAPageAndStopsWhenAsked) {
  const MachineSpec spec = make_spec("served");
  const auto machine = boot(spec);
  ASSERT_TRUE(machine);
  EXPECT_TRUE(eventually([&] {
    return fetch(machine->ports()[0].host_port).find("<title>Mutua</title>") != std::string::npos;
  }));
  EXPECT_EQ(processes_with(spec.name).size(), 1u);
  machine->stop(milliseconds(20'000));
  ASSERT_TRUE(machine->wait_for(State::exited, kPatience).ok());
  EXPECT_EQ(machine->exit()->reason, Exit::Reason::halted) << machine->exit()->detail;
  EXPECT_NE(read_text(spec.console_log).find("mutua: stopping"), std::string::npos);
  EXPECT_TRUE(processes_with(spec.name).empty());
}

TEST_F(QemuMachine, TellsAResetFromAPowerOff) {
  const MachineSpec spec = make_spec("reset");
  install_service(spec, folder_, "#!/bin/sh\nreboot -f\n");
  const auto machine = boot(spec);
  ASSERT_TRUE(machine);
  ASSERT_TRUE(machine->wait_for(State::exited, kPatience).ok());
  EXPECT_EQ(machine->exit()->reason, Exit::Reason::crashed) << machine->exit()->detail;
  EXPECT_NE(machine->exit()->detail.find("guest-reset"), std::string::npos)
      << machine->exit()->detail;
}

TEST_F(QemuMachine, KilledOrOrphanedLeavesNoProcess) {
  const MachineSpec spec = make_spec("killed");
  const auto machine = boot(spec);
  ASSERT_TRUE(machine);
  ASSERT_FALSE(processes_with(spec.name).empty());
  machine->kill();
  ASSERT_TRUE(machine->wait_for(State::exited, kPatience).ok());
  EXPECT_TRUE(processes_with(spec.name).empty());

  const MachineSpec orphan = make_spec("orphan");
  const pid_t daemon = ::fork();
  if (daemon == 0) {
    auto started = qemu_.start(orphan);
    for (;;) ::pause();
  }
  EXPECT_TRUE(eventually([&] { return !processes_with(orphan.name).empty(); }));
  ASSERT_EQ(::kill(daemon, SIGKILL), 0);
  ::waitpid(daemon, nullptr, 0);
  EXPECT_TRUE(eventually([&] { return processes_with(orphan.name).empty(); }));
}

TEST_F(QemuMachine, IsTakenLiveAndResumesMoreThanOnce) {
  const MachineSpec spec = make_spec("origin");
  const auto origin = boot_counter(spec);
  ASSERT_TRUE(origin);
  const Visit before = visit(*origin);
  const SnapshotRequest request = make_request("shot");
  const auto report = take(*origin, request);
  ASSERT_TRUE(report.ok()) << report.error().message();
  RecordProperty("frozen_us", static_cast<int>(report->frozen.count()));
  EXPECT_EQ(report->generation, 0u);
  EXPECT_GT(report->pages, 100u);
  EXPECT_EQ(report->bytes, std::filesystem::file_size(request.memory_file));
  EXPECT_TRUE(uml::CowFile::open(request.disk_copy).ok());
  EXPECT_FALSE(take(*origin, request).ok()) << "it would overwrite a snapshot";
  EXPECT_EQ(visit(*origin).count, before.count + 1) << "the origin goes on";

  std::vector<std::unique_ptr<Machine>> replicas;
  std::vector<Visit> visits;
  for (const char* label : {"one", "two"}) {
    replicas.push_back(boot(resumed_spec(spec, request, label)));
    ASSERT_TRUE(replicas.back());
    visits.push_back(visit(*replicas.back()));
    EXPECT_EQ(visits.back().count, before.count + 1);
  }
  EXPECT_NE(visits[0].random, visits[1].random);

  // A generation later: a replica is taken and leaves, and goes on elsewhere.
  SnapshotRequest later = make_request("later");
  later.after = SnapshotRequest::After::leave;
  const auto second = take(*replicas[0], later);
  ASSERT_TRUE(second.ok()) << second.error().message();
  EXPECT_EQ(second->generation, 1u);
  ASSERT_TRUE(replicas[0]->wait_for(State::exited, kPatience).ok());
  EXPECT_EQ(replicas[0]->exit()->reason, Exit::Reason::halted) << replicas[0]->exit()->detail;
  const auto grandchild = boot(resumed_spec(spec, later, "three"));
  ASSERT_TRUE(grandchild);
  EXPECT_EQ(visit(*grandchild).count, before.count + 2);
}

TEST_F(QemuMachine, GoesOnAfterATakeThatFailed) {
  const auto machine = boot_counter(make_spec("goes-on"));
  ASSERT_TRUE(machine);
  const Visit before = visit(*machine);
  SnapshotRequest hasty = make_request("hasty");
  hasty.deadline = milliseconds(1);
  const auto late = take(*machine, hasty);
  EXPECT_FALSE(late.ok());
  EXPECT_FALSE(std::filesystem::exists(hasty.memory_file));
  EXPECT_EQ(visit(*machine).count, before.count + 1);

  if (::geteuid() == 0) {
    const auto small = folder_ / "small";
    std::filesystem::create_directory(small);
    ASSERT_EQ(::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=4m"), 0);
    SnapshotRequest full;
    full.memory_file = small / "memory";
    full.disk_copy = small / "disk";
    const auto report = take(*machine, full);
    ASSERT_FALSE(report.ok());
    EXPECT_NE(report.error().message().find("No space left"), std::string::npos)
        << report.error().message();
    EXPECT_TRUE(std::filesystem::is_empty(small));
    EXPECT_EQ(::umount(small.c_str()), 0) << "the jail holds on to the disk";
    EXPECT_EQ(visit(*machine).count, before.count + 2);
  }
  const auto report = take(*machine, make_request("patient"));
  EXPECT_TRUE(report.ok()) << report.error().message();
}

TEST_F(QemuMachine, RefusesWhatDoesNotFit) {
  const MachineSpec origin = make_spec("origin");
  const SnapshotRequest request = make_request("shot");
  {
    const auto machine = boot_counter(origin);
    ASSERT_TRUE(machine);
    const auto report = take(*machine, request);
    ASSERT_TRUE(report.ok()) << report.error().message();
  }
  const auto file = qemu::MemoryFile::open(request.memory_file);
  ASSERT_TRUE(file.ok());
  // Its checksum is right: QEMU itself refuses the device state.
  const auto spoil_state = [&](const std::filesystem::path& path) {
    qemu::MemoryTrailer trailer = file->trailer();
    const std::string noise(trailer.state_bytes, '\x55');
    trailer.state = trust::sha256(as_bytes(noise));
    std::fstream out(path, std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(static_cast<std::streamoff>(trailer.memory_bytes));
    out << noise << as_text(qemu::print_trailer(trailer));
  };
  const struct {
    const char* label;
    const char* why;
    std::function<void(MachineSpec&)> damage;
  } cases[] = {
      {"truncated", "truncated",
       [](MachineSpec& s) { std::filesystem::resize_file(*s.memory_snapshot, 1 << 20); }},
      {"memory", "memory", [](MachineSpec& s) { s.memory_bytes += 4096; }},
      {"address", "10.0.0.1", [](MachineSpec& s) { s.address = "10.0.0.2"; }},
      {"kernel", "kernel", [this](MachineSpec& s) { s.kernel = base_; }},
      {"state", "qemu: ", [&](MachineSpec& s) { spoil_state(*s.memory_snapshot); }},
      {"absent", "absent", [this](MachineSpec& s) { s.memory_snapshot = folder_ / "absent"; }},
  };
  for (const auto& one : cases) {
    SnapshotRequest copy = request;
    copy.memory_file = folder_ / (std::string(one.label) + ".memory");
    std::filesystem::copy_file(request.memory_file, copy.memory_file);
    MachineSpec spec = resumed_spec(origin, copy, one.label);
    one.damage(spec);
    auto machine = qemu_.start(spec);
    ASSERT_TRUE(machine.ok()) << machine.error().message();
    ASSERT_TRUE((*machine)->wait_for(State::running, kPatience).ok()) << one.label;
    ASSERT_EQ((*machine)->state(), State::exited) << one.label;
    EXPECT_EQ((*machine)->exit()->reason, Exit::Reason::failed) << one.label;
    EXPECT_NE((*machine)->exit()->detail.find(one.why), std::string::npos)
        << one.label << ": " << (*machine)->exit()->detail;
    std::cout << one.label << ": " << (*machine)->exit()->detail << '\n';
    EXPECT_TRUE(processes_with(spec.name).empty()) << one.label;
  }
}

}  // namespace
}  // namespace mutua::vm
