#include "peer/vm/qemu/qemu_guest.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "peer/vm/jail/ethernet.h"
#include "peer/vm/jail/system_calls.h"
#include "peer/vm/jail/take.h"
#include "peer/vm/qemu/changes.h"
#include "peer/vm/uml/cow.h"

namespace mutua::vm::qemu {
namespace {

namespace fs = std::filesystem;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using uml::CowFile;

// The version pins what QEMU emulates, so that a later QEMU resumes what an earlier one took.
constexpr const char* kMachine = "pc-i440fx-7.2";
constexpr const char* kProcessor = "Nehalem";
// Translated code of at most 32 MiB, and QEMU itself.
constexpr std::uint64_t kOverheadBytes = 128 << 20;

constexpr const char* kLibraries = "/usr/lib/x86_64-linux-gnu";
constexpr const char* kLoader = "/lib/ld-linux-x86-64.so.2";
// What QEMU puts into every machine of this kind.
constexpr std::array kFirmware = {"/usr/share/seabios/bios-256k.bin",
                                  "/usr/share/qemu/kvmvapic.bin",
                                  "/usr/share/qemu/linuxboot_dma.bin"};
constexpr const char* kMemory = "/tmp/memory";
constexpr const char* kScratch = "/scratch.cow";
constexpr const char* kSnapshot = "/memory.snapshot";
constexpr std::uint64_t kTmpSlackBytes = 4 << 20;

constexpr milliseconds kStartDeadline{30'000};
constexpr milliseconds kCommandDeadline{10'000};

constexpr const char* kStateName = R"({"fdname":"state"})";
constexpr const char* kStateUri = R"({"uri":"fd:state"})";

std::string machine_text(Accelerator accelerator) {
  return std::string(kMachine) + ' ' + to_string(accelerator) + ' ' + kProcessor;
}

Result<UniqueFd> open_file(const fs::path& path, int flags) {
  UniqueFd file(::open(path.c_str(), flags | O_CLOEXEC, 0600));
  if (!file) return errno_error(errno, "open " + path.string());
  return file;
}

Result<std::uint64_t> size_of(int file, const fs::path& path) {
  struct stat status {};
  if (::fstat(file, &status) != 0) return errno_error(errno, "stat " + path.string());
  return static_cast<std::uint64_t>(status.st_size);
}

Result<trust::Digest> digest_of_kernel(const fs::path& kernel) {
  const UniqueFd file = TRY(open_file(kernel, O_RDONLY));
  return digest_of(file.get(), 0, TRY(size_of(file.get(), kernel)));
}

Result<void> check_snapshot(const MachineSpec& spec, const MemoryTrailer& has,
                            const MemoryTrailer& wanted) {
  const auto refuse = [&spec](const char* what, const std::string& old, const std::string& now) {
    return errorf("snapshot %s: %s %s, not %s", spec.memory_snapshot->c_str(), what, old.c_str(),
                  now.c_str());
  };
  if (has.kernel != wanted.kernel) {
    return refuse("taken of the kernel", has.kernel.to_text(), wanted.kernel.to_text());
  }
  if (has.machine != wanted.machine) {
    return refuse("taken of a machine", has.machine, wanted.machine);
  }
  if (has.memory_bytes != wanted.memory_bytes) {
    return refuse("its machine's bytes of memory are", std::to_string(has.memory_bytes),
                  std::to_string(wanted.memory_bytes));
  }
  // Another address would have no network: frames and ports go by the spec's.
  if (has.address != wanted.address) {
    return refuse("its machine's address is", has.address, wanted.address);
  }
  return {};
}

// The disk's data alone shall be the disk. A disk of a snapshot is so already.
Result<uml::CowHeader> fill_disk(const MachineSpec& spec) {
  CowFile cow = TRY(CowFile::open(spec.scratch_disk));
  const UniqueFd base = TRY(open_file(spec.base_disk, O_RDONLY));
  if (TRY(size_of(base.get(), spec.base_disk)) != cow.header().disk_bytes) {
    return errorf("%s is above a disk of another size than %s", spec.scratch_disk.c_str(),
                  spec.base_disk.c_str());
  }
  if (TRY(cow.fill(base.get()))) TRY(cow.commit());
  return cow.header();
}

std::string boot_line(const MachineSpec& spec) {
  std::string line =
      "console=ttyS0 root=/dev/vda rw init=/init panic=-1 mutua.hostname=" + spec.name +
      " mutua.address=" + spec.address + "/8 mutua.gateway=" + print_address(kGatewayAddress);
  if (!spec.instance.empty()) line += " mutua.instance=" + spec.instance;
  if (!spec.agent.empty()) line += " mutua.agent=" + spec.agent;
  // Without a way out nobody answers there, and each look-up of the guest's would wait in vain.
  if (spec.outbound == Outbound::yes) line += " mutua.dns=" + print_address(kDnsAddress);
  return line;
}

}  // namespace

// Open while a snapshot is taken.
struct QemuGuest::Files {
  UniqueFd memory_from, memory_to, disk_from, disk_to;
};

Result<void> QemuGuest::prepare(const MachineSpec& spec) {
  identity_.memory_bytes = spec.memory_bytes;
  identity_.kernel = TRY(digest_of_kernel(spec.kernel));
  identity_.address = spec.address;
  identity_.machine = machine_text(accelerator_);
  if (spec.memory_snapshot) {
    snapshot_ = TRY(MemoryFile::open(*spec.memory_snapshot));
    TRY(check_snapshot(spec, snapshot_->trailer(), identity_));
    identity_.generation = snapshot_->trailer().generation + 1;
  }
  const uml::CowHeader disk = TRY(fill_disk(spec));
  disk_offset_ = disk.data_offset();
  disk_bytes_ = disk.disk_bytes;
  return {};
}

// QEMU has no SOCK_SEQPACKET.
int QemuGuest::ethernet_type() const { return SOCK_DGRAM; }

std::uint64_t QemuGuest::overhead_bytes() const { return kOverheadBytes; }

Result<void> QemuGuest::check_result(const fs::path& memory_file,
                                     const SnapshotReport& report) const {
  const MemoryFile file = TRY(MemoryFile::open(memory_file));
  if (file.trailer().file_bytes() != report.bytes) {
    return errorf("QEMU's keeper reports another snapshot than it wrote");
  }
  return {};
}

JailRoot QemuGuest::root(const MachineSpec& spec) const {
  JailRoot root;
  root.run_dir = spec.run_dir;
  root.files = {
      {kLibraries, "lib", false, true},
      {program_, "qemu", false, true},
      {spec.kernel, "kernel", false, false},
      {spec.scratch_disk, fs::path(kScratch).filename(), true, false},
  };
  for (const fs::path file : kFirmware) root.files.push_back({file, file.filename(), false, false});
  if (spec.memory_snapshot) {
    root.files.push_back({*spec.memory_snapshot, fs::path(kSnapshot).filename(), false, false});
  }
  root.folders = {kSnapshotFolder};
  if (accelerator_ == Accelerator::kvm) root.devices = {"kvm"};
  root.tmp_bytes = spec.memory_bytes + kTmpSlackBytes;
  return root;
}

Result<UniqueFd> QemuGuest::watch_calls() const { return watch_emulator_calls(); }

std::vector<std::string> QemuGuest::arguments(const MachineSpec& spec) const {
  const std::string megabytes = std::to_string(spec.memory_bytes >> 10) + "K";
  const std::string mac = print_mac(guest_mac(parse_address(spec.address)));
  std::vector<std::string> arguments = {
      kLoader,
      "--library-path",
      "/lib",
      "/qemu",
      // Nothing but what is named here.
      "-nodefaults",
      "-no-user-config",
      "-display",
      "none",
      "-L",
      "/",
      "-name",
      spec.name,
      "-machine",
      std::string(kMachine) + ",usb=off,vmport=off,memory-backend=memory",
      "-accel",
      accelerator_ == Accelerator::kvm ? "kvm" : "tcg,tb-size=32",
      "-cpu",
      kProcessor,
      "-smp",
      "1",
      "-m",
      megabytes,
      "-object",
      "memory-backend-file,id=memory,share=on,size=" + megabytes + ",mem-path=" + kMemory,
      "-kernel",
      "/kernel",
      "-append",
      boot_line(spec),
      "-no-reboot",
      // The disk's cache is the host's, which stays right: the file is private, and needs no lock.
      "-blockdev",
      std::string("driver=file,node-name=file,locking=off,drop-cache=off,filename=") + kScratch,
      "-blockdev",
      "driver=raw,node-name=disk,file=file,offset=" + std::to_string(disk_offset_) +
          ",size=" + std::to_string(disk_bytes_),
      "-device",
      "virtio-blk-pci,drive=disk",
      "-netdev",
      "dgram,id=network,local.type=fd,local.str=" + std::to_string(kEthernetInGuest),
      "-device",
      "virtio-net-pci,netdev=network,romfile=,mac=" + mac,
      // Randomness of the host's, and news of a resume for the guest's generator.
      "-object",
      "rng-builtin,id=random",
      "-device",
      "virtio-rng-pci,rng=random",
      "-device",
      "vmgenid,guid=auto",
      "-chardev",
      "stdio,id=console,signal=off",
      "-serial",
      "chardev:console",
      "-chardev",
      "socket,id=control,fd=" + std::to_string(kControlInGuest),
      "-mon",
      "chardev=control,mode=control",
      "-sandbox",
      "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
  };
  if (spec.memory_snapshot) arguments.insert(arguments.end(), {"-incoming", "defer"});
  return arguments;
}

std::vector<std::string> QemuGuest::environment() const {
  return {"HOME=/tmp", "TMPDIR=/tmp", "LC_ALL=C", "QEMU_MODULE_DIR=/lib/qemu"};
}

Result<void> QemuGuest::make_files(const MachineSpec& spec) {
  const UniqueFd memory = TRY(open_file(kMemory, O_RDWR | O_CREAT | O_EXCL));
  if (::ftruncate(memory.get(), static_cast<off_t>(spec.memory_bytes)) != 0) {
    return errno_error(errno, "make the guest's memory");
  }
  if (!spec.memory_snapshot) return {};
  const UniqueFd snapshot = TRY(open_file(kSnapshot, O_RDONLY));
  TRY(copy_changes(snapshot.get(), memory.get(), spec.memory_bytes));
  return {};
}

Result<void> QemuGuest::begin(const MachineSpec& spec, UniqueFd control, int ended) {
  qmp_.emplace(std::move(control), ended);
  const auto deadline = steady_clock::now() + kStartDeadline;
  TRY(qmp_->open(deadline));
  // Guest memory stays in its file; events tell how a transfer goes.
  TRY(qmp_->execute("migrate-set-capabilities",
                    R"({"capabilities":[{"capability":"x-ignore-shared","state":true},)"
                    R"({"capability":"events","state":true}]})",
                    deadline));
  if (!spec.memory_snapshot) return {};
  return resume(snapshot_->trailer());
}

Result<void> QemuGuest::resume(const MemoryTrailer& trailer) {
  const auto deadline = steady_clock::now() + kStartDeadline;
  const UniqueFd state = TRY(open_file(kSnapshot, O_RDONLY));
  if (::lseek(state.get(), static_cast<off_t>(trailer.memory_bytes), SEEK_SET) < 0) {
    return errno_error(errno, "seek");
  }
  TRY(qmp_->execute("getfd", kStateName, deadline, state.get()));
  TRY(qmp_->execute("migrate-incoming", kStateUri, deadline));
  auto loaded = qmp_->await_migration(deadline);
  if (!loaded.ok()) return loaded.error().in("resume");
  return qmp_->execute("cont", "{}", deadline);
}

int QemuGuest::event_fd() const { return qmp_ ? qmp_->fd() : -1; }

void QemuGuest::handle_readable() { qmp_->drain(); }

Result<void> QemuGuest::ask_to_stop() {
  return qmp_->execute("send-key",
                       R"({"keys":[{"type":"qcode","data":"ctrl"},{"type":"qcode","data":"alt"},)"
                       R"({"type":"qcode","data":"delete"}]})",
                       steady_clock::now() + kCommandDeadline);
}

Result<void> QemuGuest::write_state(const Files& files, Qmp::Deadline deadline) {
  const int memory = files.memory_to.get();
  // QEMU writes where the descriptor, which both share, stands.
  const auto start = static_cast<off_t>(identity_.memory_bytes);
  if (::ftruncate(memory, start) != 0 || ::lseek(memory, start, SEEK_SET) < 0) {
    return errno_error(errno, "write the device state");
  }
  TRY(qmp_->execute("getfd", kStateName, deadline, memory));
  TRY(qmp_->execute("migrate", kStateUri, deadline));
  return qmp_->await_migration(deadline);
}

// The guest stands; what has changed since the first copy is copied.
Result<void> QemuGuest::freeze_and_copy(const Files& files, Qmp::Deadline deadline,
                                        std::uint64_t& pages) {
  TRY(qmp_->execute("stop", "{}", deadline));
  TRY(write_state(files, deadline));
  pages +=
      TRY(copy_changes(files.memory_from.get(), files.memory_to.get(), identity_.memory_bytes));
  const std::uint64_t disk = TRY(size_of(files.disk_from.get(), kScratch));
  TRY(copy_changes(files.disk_from.get(), files.disk_to.get(), disk));
  return {};
}

// Whatever happened, the guest goes on.
Result<void> QemuGuest::thaw() {
  const auto deadline = steady_clock::now() + kCommandDeadline;
  TRY(qmp_->cancel_migration(deadline));
  return qmp_->execute("cont", "{}", deadline);
}

Result<std::string> QemuGuest::take(SnapshotRequest::After after, milliseconds patience, int) {
  const auto deadline = steady_clock::now() + patience;
  const int create = O_RDWR | O_CREAT | O_EXCL;
  const Files files{TRY(open_file(kMemory, O_RDONLY)), TRY(open_file(kSnapshotMemory, create)),
                    TRY(open_file(kScratch, O_RDONLY)), TRY(open_file(kSnapshotDisk, create))};
  const std::uint64_t disk = TRY(size_of(files.disk_from.get(), kScratch));
  if (::ftruncate(files.disk_to.get(), static_cast<off_t>(disk)) != 0) {
    return errno_error(errno, "make the disk's copy");
  }
  TRY(copy_changes(files.disk_from.get(), files.disk_to.get(), disk));
  std::uint64_t pages =
      TRY(copy_changes(files.memory_from.get(), files.memory_to.get(), identity_.memory_bytes));

  const auto stopped = steady_clock::now();
  const auto copied = freeze_and_copy(files, deadline, pages);
  if (!copied.ok() || after == SnapshotRequest::After::go_on) TRY(thaw());
  if (!copied.ok()) return copied.error();
  const auto frozen =
      std::chrono::duration_cast<microseconds>(steady_clock::now() - stopped).count();

  const int memory = files.memory_to.get();
  MemoryTrailer trailer = identity_;
  trailer.state_bytes = TRY(size_of(memory, kSnapshotMemory)) - identity_.memory_bytes;
  // Whole pages, as whoever stores them wants them; QEMU reads up to its own end mark.
  trailer.state_bytes += (kTrailerBytes - trailer.state_bytes % kTrailerBytes) % kTrailerBytes;
  if (::ftruncate(memory, static_cast<off_t>(trailer.memory_bytes + trailer.state_bytes)) != 0) {
    return errno_error(errno, "round the device state up");
  }
  trailer.state = TRY(digest_of(memory, trailer.memory_bytes, trailer.state_bytes));
  const Bytes end = print_trailer(trailer);
  if (::pwrite(memory, end.data(), end.size(),
               static_cast<off_t>(trailer.file_bytes() - kTrailerBytes)) !=
      static_cast<ssize_t>(end.size())) {
    return errno_error(errno, "write the trailer");
  }
  if (after == SnapshotRequest::After::leave) TRY(qmp_->execute("quit", "{}", deadline));
  return "pages=" + std::to_string(pages) + " bytes=" + std::to_string(trailer.file_bytes()) +
         " frozen_us=" + std::to_string(frozen) +
         " generation=" + std::to_string(trailer.generation);
}

std::string QemuGuest::describe_end(int status) {
  if (qmp_) qmp_->drain();
  if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status));
  const std::string& reason = qmp_ ? qmp_->shutdown_reason() : std::string();
  // QEMU's own status does not tell a power-off from a panic's reset.
  if (WEXITSTATUS(status) == 0 && reason.starts_with("guest-") && reason != "guest-shutdown") {
    return "QEMU: " + reason;
  }
  return "exit " + std::to_string(WEXITSTATUS(status));
}

}  // namespace mutua::vm::qemu
