#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "peer/vm/uml/snapshot_file.h"
#include "unit/peer/vm/machine_fixture.h"

namespace mutua::vm {
namespace {

// Machines whose service holds its state in memory: /count tells how often it was asked, the
// guest's uptime in hundredths of a second, and 16 random bytes.
class UmlSnapshot : public MachineTest {
 protected:
  void SetUp() override {
#ifdef __SANITIZE_THREAD__
    // setns(2) refuses to take one of several threads into a mount namespace.
    GTEST_SKIP() << "ThreadSanitizer's own thread keeps a process out of the jail's namespace";
#endif
    MachineTest::SetUp();
  }

  static constexpr const char* kService =
      "#!/bin/sh\n"
      "mkdir -p /dev/shm/www/cgi-bin\n"
      "echo 0 > /dev/shm/visits\n"
      "cat > /dev/shm/www/cgi-bin/count <<'END'\n"
      "#!/bin/sh\n"
      "read -r visits < /dev/shm/visits\n"
      "echo $((visits + 1)) > /dev/shm/visits\n"
      "read -r uptime rest < /proc/uptime\n"
      "printf 'Content-Type: text/plain\\r\\n\\r\\n'\n"
      "echo \"$((visits + 1)) ${uptime%.*}${uptime#*.} $(head -c 16 /dev/urandom | md5sum)\"\n"
      "END\n"
      "chmod +x /dev/shm/www/cgi-bin/count\n"
      "exec httpd -f -p 80 -h /dev/shm/www\n";

  struct Visit {
    int count = 0;
    long uptime = 0;
    std::string random;
  };

  // Zero visits when nobody answers.
  static Visit visit(const Machine& machine) {
    const std::string page = fetch(machine.ports()[0].host_port, "/cgi-bin/count");
    const auto body = page.find("\r\n\r\n");
    Visit visit;
    if (body == std::string::npos) return visit;
    std::istringstream words(page.substr(body + 4));
    words >> visit.count >> visit.uptime >> visit.random;
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

  std::vector<std::string> names_in_folder(const std::string& label) const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      const std::string name = entry.path().filename();
      if (name.starts_with(label)) names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }
};

TEST_F(UmlSnapshot, IsTakenOfARunningMachineThatGoesOn) {
  const MachineSpec spec = make_spec("live");
  const auto machine = boot_counter(spec);
  ASSERT_TRUE(machine);
  const Visit before = visit(*machine);
  const SnapshotRequest request = make_request("shot");
  const auto report = take(*machine, request);
  ASSERT_TRUE(report.ok()) << report.error().message();
  std::cout << "frozen for " << report->frozen.count() << " us, " << report->pages << " pages\n";
  RecordProperty("frozen_us", static_cast<int>(report->frozen.count()));
  EXPECT_EQ(report->generation, 0u);
  EXPECT_EQ(report->bytes, std::filesystem::file_size(request.memory_file));
  EXPECT_EQ(std::filesystem::file_size(request.disk_copy),
            std::filesystem::file_size(spec.scratch_disk));
  EXPECT_TRUE(uml::CowFile::open(request.disk_copy).ok());
  const auto memory = uml::SnapshotFile::open(request.memory_file);
  ASSERT_TRUE(memory.ok()) << memory.error().message();
  EXPECT_EQ(memory->header().page_count, report->pages);
  EXPECT_EQ(memory->header().memory_bytes(), spec.memory_bytes);
  EXPECT_EQ(memory->header().boot_argument("mutua.address"), spec.address + "/8");
  EXPECT_EQ(names_in_folder("shot"), (std::vector<std::string>{"shot.disk", "shot.memory"}));
  for (const pid_t pid : processes_with(host_argument(spec))) {
    EXPECT_TRUE(std::filesystem::is_empty("/proc/" + std::to_string(pid) + "/root/snapshot"));
  }
  const Visit after = visit(*machine);
  EXPECT_EQ(after.count, before.count + 1);
  EXPECT_GE(after.uptime, before.uptime);
  const auto again = take(*machine, request);
  ASSERT_FALSE(again.ok()) << "it would overwrite a snapshot";
  EXPECT_NE(again.error().message().find("exists"), std::string::npos) << again.error().message();
  EXPECT_TRUE(take(*machine, make_request("second")).ok());
}

TEST_F(UmlSnapshot, LetsTheMachineLeave) {
  const auto machine = boot_counter(make_spec("final"));
  ASSERT_TRUE(machine);
  SnapshotRequest request = make_request("shot");
  request.after = SnapshotRequest::After::leave;
  const auto report = take(*machine, request);
  ASSERT_TRUE(report.ok()) << report.error().message();
  ASSERT_TRUE(machine->wait_for(State::exited, kPatience).ok());
  EXPECT_EQ(machine->exit()->reason, Exit::Reason::halted) << machine->exit()->detail;
  EXPECT_TRUE(std::filesystem::exists(request.memory_file));
  EXPECT_TRUE(std::filesystem::exists(request.disk_copy));
}

TEST_F(UmlSnapshot, FullDiskLeavesTheMachineRunningAndNoFile) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root mounts a small disk";
  const auto small = folder_ / "small";
  std::filesystem::create_directory(small);
  ASSERT_EQ(::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=2m"), 0);
  const auto machine = boot_counter(make_spec("full"));
  if (machine) {
    SnapshotRequest request;
    request.memory_file = small / "memory";
    request.disk_copy = small / "disk";
    const auto report = take(*machine, request);
    EXPECT_FALSE(report.ok());
    if (!report.ok()) {
      EXPECT_NE(report.error().message().find("No space left"), std::string::npos)
          << report.error().message();
    }
    EXPECT_TRUE(std::filesystem::is_empty(small));
    EXPECT_GT(visit(*machine).count, 0) << "the machine goes on";
    EXPECT_TRUE(take(*machine, make_request("elsewhere")).ok());
  }
  EXPECT_EQ(::umount(small.c_str()), 0) << "the jail holds on to the disk";
}

TEST_F(UmlSnapshot, KilledWatcherLeavesBothFilesOrNothing) {
  for (const char* step : {"shot.memory.taking", "shot.memory.taking/memory.partial",
                           "shot.memory.taking/disk", "shot.memory.taking/memory", "shot.disk"}) {
    const MachineSpec spec = make_spec("killed");
    const auto machine = boot_counter(spec);
    ASSERT_TRUE(machine);
    const SnapshotRequest request = make_request("shot");
    ASSERT_TRUE(machine->take(request).ok());
    // A step may be over before it is seen; then the next one, or the end, is as good.
    while (!std::filesystem::exists(folder_ / step) && !machine->snapshot()) {
      machine->handle_readable();
    }
    ASSERT_EQ(::kill(machine->pid(), SIGKILL), 0);
    ASSERT_TRUE(machine->wait_for(State::exited, kPatience).ok());
    ASSERT_TRUE(machine->snapshot().has_value());
    if (machine->snapshot()->ok()) {
      EXPECT_EQ(names_in_folder("shot"), (std::vector<std::string>{"shot.disk", "shot.memory"}));
      EXPECT_TRUE(uml::SnapshotFile::open(request.memory_file).ok());
    } else {
      EXPECT_TRUE(names_in_folder("shot").empty()) << step;
    }
    EXPECT_TRUE(eventually([&] { return processes_with(host_argument(spec)).empty(); }));
    for (const char* name : {"shot.disk", "shot.memory", "killed.cow", "derived.img"}) {
      std::filesystem::remove(folder_ / name);
    }
  }
}

TEST_F(UmlSnapshot, GoesOnceMoreAfterAKilledDaemonLeftAHalf) {
  const MachineSpec spec = make_spec("daemon");
  install_service(spec, folder_, kService);
  const SnapshotRequest request = make_request("shot");
  const pid_t daemon = ::fork();
  if (daemon == 0) {
    auto machine = engine_.start(spec);
    if (machine.ok() && (*machine)->wait_for(State::running, kPatience).ok() &&
        eventually([&] { return visit(**machine).count > 0; })) {
      (void)(*machine)->take(request);
    }
    for (;;) ::pause();
  }
  EXPECT_TRUE(eventually([&] { return !names_in_folder("shot").empty(); }));
  ASSERT_EQ(::kill(daemon, SIGKILL), 0);
  ::waitpid(daemon, nullptr, 0);
  ASSERT_TRUE(eventually([&] { return processes_with(host_argument(spec)).empty(); }));
  for (const auto& path : {request.memory_file, request.disk_copy}) std::filesystem::remove(path);

  const auto machine = boot(spec);
  ASSERT_TRUE(machine);
  ASSERT_TRUE(eventually([&] { return visit(*machine).count > 0; }));
  const auto report = take(*machine, request);
  ASSERT_TRUE(report.ok()) << report.error().message();
  EXPECT_EQ(names_in_folder("shot"), (std::vector<std::string>{"shot.disk", "shot.memory"}));
}

// The spec of a machine that goes on from `request`'s files, with a disk of its own.
MachineSpec resumed_spec(MachineSpec spec, const SnapshotRequest& request,
                         const std::string& label) {
  spec.name = label + '-' + std::to_string(::getpid());
  spec.scratch_disk.replace_filename(label + ".cow");
  spec.console_log.replace_filename(label + ".log");
  spec.memory_snapshot = request.memory_file;
  std::filesystem::copy_file(request.disk_copy, spec.scratch_disk);
  return spec;
}

TEST_F(UmlSnapshot, ResumesBesideTheMachineThatWentOn) {
  const MachineSpec spec = make_spec("origin");
  const auto origin = boot_counter(spec);
  ASSERT_TRUE(origin);
  const Visit before = visit(*origin);
  const SnapshotRequest request = make_request("shot");
  ASSERT_TRUE(take(*origin, request).ok());
  ASSERT_GT(visit(*origin).count, before.count) << "the origin's own way from here";
  EXPECT_GT(visit(*origin).count, before.count);

  std::vector<std::unique_ptr<Machine>> replicas;
  std::vector<Visit> visits;
  for (const char* label : {"one", "two"}) {
    const auto begin = steady_clock::now();
    replicas.push_back(boot(resumed_spec(spec, request, label)));
    ASSERT_TRUE(replicas.back());
    visits.push_back(visit(*replicas.back()));
    const auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin);
    RecordProperty(std::string(label) + "_resume_to_first_answer_ms",
                   static_cast<int>(took.count()));
    std::cout << "resume to the first answer of a CGI: " << took.count() << " ms\n";
    EXPECT_EQ(visits.back().count, before.count + 1);
    EXPECT_GE(visits.back().uptime, before.uptime);
    EXPECT_LT(visits.back().uptime, before.uptime + 100 * 60) << "it has not stood for a minute";
  }
  EXPECT_NE(visits[0].random, visits[1].random);
  EXPECT_FALSE(visits[0].random.empty());
  EXPECT_NE(replicas[0]->ports()[0].host_port, origin->ports()[0].host_port);
  EXPECT_EQ(visit(*origin).count, before.count + 3);

  // A generation later: a replica is taken, and resumes.
  const SnapshotRequest later = make_request("later");
  const auto report = take(*replicas[0], later);
  ASSERT_TRUE(report.ok()) << report.error().message();
  EXPECT_EQ(report->generation, 1u);
  const auto grandchild = boot(resumed_spec(spec, later, "three"));
  ASSERT_TRUE(grandchild);
  EXPECT_EQ(visit(*grandchild).count, before.count + 2);
  replicas[0]->stop(milliseconds(20'000));
  ASSERT_TRUE(replicas[0]->wait_for(State::exited, kPatience).ok());
  EXPECT_EQ(replicas[0]->exit()->reason, Exit::Reason::halted) << replicas[0]->exit()->detail;
}

// Writes `value` at `offset` of a file.
void poke(const std::filesystem::path& path, std::streamoff offset, char value) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(offset);
  file.put(value);
}

TEST_F(UmlSnapshot, RefusesWhatDoesNotFit) {
  const MachineSpec origin = make_spec("origin");
  const SnapshotRequest request = make_request("shot");
  {
    const auto machine = boot_counter(origin);
    ASSERT_TRUE(machine);
    const auto report = take(*machine, request);
    ASSERT_TRUE(report.ok()) << report.error().message();
  }
  const struct {
    const char* label;
    const char* why;
    std::function<void(MachineSpec&)> damage;
  } cases[] = {
      {"truncated", "truncated",
       [](MachineSpec& s) { std::filesystem::resize_file(*s.memory_snapshot, 1 << 20); }},
      {"empty", "truncated",
       [](MachineSpec& s) { std::filesystem::resize_file(*s.memory_snapshot, 0); }},
      {"longer", "longer",
       [](MachineSpec& s) {
         std::filesystem::resize_file(*s.memory_snapshot,
                                      std::filesystem::file_size(*s.memory_snapshot) + 1);
       }},
      {"memory", "memory", [](MachineSpec& s) { s.memory_bytes += 4096; }},
      {"address", "10.0.0.1/8", [](MachineSpec& s) { s.address = "10.0.0.2"; }},
      {"other", "not a kernel", [this](MachineSpec& s) { s.kernel = base_; }},
      {"program", "build id", [](MachineSpec& s) { s.kernel = "/bin/true"; }},
      {"flipped", "checksum", [](MachineSpec& s) { poke(*s.memory_snapshot, 176, '\x55'); }},
      {"id", "checksum", [](MachineSpec& s) { poke(*s.memory_snapshot, 48, '\x55'); }},
      {"base", "ubd0",
       [this](MachineSpec& s) {
         s.base_disk = folder_ / "other.img";
         std::ofstream(s.base_disk).close();
         std::filesystem::resize_file(s.base_disk, 1 << 20);
       }},
      {"stale", "not of the snapshot's instant",
       [this](MachineSpec& s) {
         std::filesystem::remove(s.scratch_disk);
         EXPECT_TRUE(uml::CowFile::create(s.scratch_disk, base_).ok());
       }},
      {"absent", "absent", [this](MachineSpec& s) { s.memory_snapshot = folder_ / "absent"; }},
  };
  for (const auto& one : cases) {
    SnapshotRequest copy = request;
    copy.memory_file = folder_ / (std::string(one.label) + ".memory");
    std::filesystem::copy_file(request.memory_file, copy.memory_file);
    MachineSpec spec = resumed_spec(origin, copy, one.label);
    one.damage(spec);
    auto machine = engine_.start(spec);
    ASSERT_TRUE(machine.ok()) << machine.error().message();
    ASSERT_TRUE((*machine)->wait_for(State::running, kPatience).ok()) << one.label;
    ASSERT_EQ((*machine)->state(), State::exited) << one.label;
    EXPECT_EQ((*machine)->exit()->reason, Exit::Reason::failed) << one.label;
    EXPECT_NE((*machine)->exit()->detail.find(one.why), std::string::npos)
        << one.label << ": " << (*machine)->exit()->detail;
    std::cout << one.label << ": " << (*machine)->exit()->detail << '\n';
    EXPECT_TRUE(processes_with(host_argument(spec)).empty()) << one.label;
  }
}

}  // namespace
}  // namespace mutua::vm
