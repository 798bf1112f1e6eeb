#include "peer/scrapbook/scrapbook.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "base/durable_file.h"
#include "base/log.h"
#include "peer/scrapbook/restore.h"
#include "trust/random.h"

namespace mutua::peer {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPageSuffix = ".json";
constexpr std::chrono::milliseconds kStopGrace{5'000};

Result<Page> read_page(const std::string& name, const fs::path& file) {
  const Bytes json = TRY(read_file(file, kLargestManifestBytes));
  auto page = parse_page(name, json);
  if (!page.ok()) return page.error().in(file.string());
  return page;
}

Result<void> make_folder(const fs::path& folder, fs::perms mode) {
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (!problem) fs::permissions(folder, mode, problem);
  if (problem) return errno_error(problem.value(), "create " + folder.string());
  return {};
}

// A machine's files of one take; they are copied into the store and go.
class TakenFolder {
 public:
  explicit TakenFolder(fs::path path) : path_(std::move(path)) {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ~TakenFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TakenFolder(const TakenFolder&) = delete;
  TakenFolder& operator=(const TakenFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace

// One operation at a time on a name. Ended by destruction.
class Scrapbook::Claim {
 public:
  static Result<std::unique_ptr<Claim>> machine(const Scrapbook& book, const std::string& name) {
    return begin(book, "machine " + name);
  }
  static Result<std::unique_ptr<Claim>> snapshot(const Scrapbook& book, const std::string& name) {
    return begin(book, "snapshot " + name);
  }
  ~Claim() {
    const std::lock_guard lock(book_.mutex_);
    book_.claimed_.erase(what_);
  }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;

 private:
  static Result<std::unique_ptr<Claim>> begin(const Scrapbook& book, std::string what) {
    const std::lock_guard lock(book.mutex_);
    if (!book.claimed_.insert(what).second) {
      return Error("another command for " + what + " is under way");
    }
    return std::unique_ptr<Claim>(new Claim(book, std::move(what)));
  }
  Claim(const Scrapbook& book, std::string what) : book_(book), what_(std::move(what)) {}
  const Scrapbook& book_;
  std::string what_;
};

Result<std::unique_ptr<Scrapbook>> Scrapbook::open(const fs::path& root, const BlobStore& store,
                                                   const vm::Engines& engines, const Clock& clock) {
  TRY(make_folder(root / "machines", fs::perms::owner_all));
  TRY(make_folder(root / "snapshots", fs::perms::owner_all));
  std::unique_ptr<Scrapbook> book(new Scrapbook(root, store, engines, clock));
  TRY(book->load());
  return book;
}

Result<void> Scrapbook::load() {
  std::error_code problem;
  for (fs::directory_iterator entry(root_ / "machines", problem), end; !problem && entry != end;
       entry.increment(problem)) {
    const std::string name = entry->path().filename().string();
    std::error_code ignored;
    fs::remove_all(entry->path() / "taken", ignored);
    if (!fs::exists(entry->path() / "machine.json", ignored)) {
      fs::remove_all(entry->path(), ignored);  // it was never started, or not wholly discarded
      continue;
    }
    machines_[name] = {TRY(read_page(name, entry->path() / "machine.json")), nullptr};
  }
  if (problem) return errno_error(problem.value(), "list " + root_.string());
  return {};
}

fs::path Scrapbook::folder_of(const std::string& machine) const {
  return root_ / "machines" / machine;
}

fs::path Scrapbook::file_of(const std::string& snapshot) const {
  return root_ / "snapshots" / (snapshot + kPageSuffix);
}

fs::path Scrapbook::console_log(const std::string& machine) const {
  return folder_of(machine) / "console.log";
}

Result<Scrapbook::Entry> Scrapbook::find(const std::string& machine) const {
  const std::lock_guard lock(mutex_);
  const auto found = machines_.find(machine);
  if (found == machines_.end()) {
    return Error("no machine is called " + machine + "; see 'mutua machine list'");
  }
  return found->second;
}

Result<std::shared_ptr<RunningMachine>> Scrapbook::find_running(const std::string& machine) const {
  const Entry entry = TRY(find(machine));
  if (!entry.running || !entry.running->status().runs) {
    return Error("machine " + machine + " does not run");
  }
  return entry.running;
}

Result<void> Scrapbook::check_new_machine(const std::string& name) const {
  TRY(check_page_name(name));
  const std::lock_guard lock(mutex_);
  if (!machines_.contains(name)) return {};
  return Error("there is a machine " + name + "; 'mutua machine stop --discard " + name +
               "' ends it for good");
}

Result<MachineView> Scrapbook::boot(const BootRequest& request, const StepReport& report) {
  const auto claim = TRY(Claim::machine(*this, request.name));
  TRY(check_new_machine(request.name));
  Page page;
  page.name = request.name;
  page.engine = request.engine;
  page.memory_mib = request.memory_mib;
  page.ports = request.ports;
  page.outbound = request.outbound;
  page.created = rfc3339(clock_.wall_now());
  page.agent = trust::random_hex(16);
  const fs::path folder = folder_of(page.name);
  TRY(make_folder(folder / "run", fs::perms::owner_all));
  const fs::path& disk = request.disk.empty() ? request.base_disk : request.disk;
  page.layers =
      TRY(capture_image(store_, {request.kernel, request.base_disk, disk}, folder / "run", report));
  TRY(restore_disk(store_, page.layers, folder / "disk.cow"));
  return start(page, false);
}

Result<MachineView> Scrapbook::boot_again(const std::string& machine) {
  const auto claim = TRY(Claim::machine(*this, machine));
  const Entry entry = TRY(find(machine));
  if (entry.running && entry.running->status().runs) {
    return Error("machine " + machine + " runs already");
  }
  Page page = entry.page;
  // It is no descendant of that memory any more.
  page.layers.memory.clear();
  page.parent.clear();
  return start(page, false);
}

Result<MachineView> Scrapbook::resume(const std::string& snapshot_name, const std::string& machine,
                                      std::vector<ServicePort> ports, const StepReport& report) {
  const auto claim = TRY(Claim::machine(*this, machine));
  TRY(check_new_machine(machine));
  Page page = TRY(snapshot(snapshot_name));
  page.name = machine;
  page.parent = snapshot_name;
  page.machine.clear();
  if (!ports.empty()) page.ports = std::move(ports);
  TRY(make_folder(folder_of(machine) / "run", fs::perms::owner_all));
  report("restoring the memory");
  TRY(restore_memory(store_, page.layers));
  const fs::path disk = folder_of(machine) / "disk.cow";
  ::unlink(disk.c_str());
  TRY(restore_disk(store_, page.layers, disk));
  return start(page, true);
}

Result<MachineView> Scrapbook::start(const Page& page, bool resumes) {
  vm::Engine* const engine = TRY(vm::find_engine(engines_, page.engine));
  const fs::path folder = folder_of(page.name);
  vm::MachineSpec spec;
  spec.name = page.name;
  spec.kernel = store_.path_of(page.layers.kernel.digest);
  spec.base_disk = store_.path_of(page.layers.base_disk.digest);
  spec.scratch_disk = folder / "disk.cow";
  if (resumes) spec.memory_snapshot = store_.path_of(page.layers.memory.back().content);
  spec.memory_bytes = std::uint64_t{page.memory_mib} << 20;
  spec.address = page.address;
  for (const ServicePort& port : page.ports) {
    const auto protocol = port.transport == Transport::tcp ? vm::Protocol::tcp : vm::Protocol::udp;
    spec.ports.push_back({protocol, "127.0.0.1", 0, 0, port.number});
  }
  spec.agent = page.agent;
  spec.ports.push_back({vm::Protocol::tcp, "127.0.0.1", 0, 0, vm::kAgentPort});
  spec.outbound = page.outbound ? vm::Outbound::yes : vm::Outbound::no;
  spec.console_log = console_log(page.name);
  spec.run_dir = folder / "run";
  TRY(store_.make_executable(page.layers.kernel.digest));
  TRY(write_file_durably(folder / "machine.json", print_page(page), 0600));
  auto running = RunningMachine::start(*engine, std::move(spec));
  if (!running.ok()) {
    std::error_code ignored;
    if (resumes) fs::remove_all(folder, ignored);
    return running.error().in("machine " + page.name);
  }
  Entry entry{page, std::move(*running)};
  MachineView view{page, entry.running->status()};
  {
    const std::lock_guard lock(mutex_);
    std::swap(machines_[page.name], entry);
  }
  log::info("machine.started", {{"name", page.name}, {"parent", page.parent}});
  return view;
}

Result<MachineView> Scrapbook::machine(const std::string& name) const {
  const Entry entry = TRY(find(name));
  return MachineView{entry.page,
                     entry.running ? entry.running->status() : RunningMachine::Status{}};
}

Result<void> Scrapbook::freeze(const std::string& machine) {
  const auto running = TRY(find_running(machine));
  return running->freeze();
}

Result<void> Scrapbook::go_on(const std::string& machine) {
  const auto running = TRY(find_running(machine));
  return running->go_on();
}

Result<void> Scrapbook::stop(const std::string& machine, bool discard) {
  const auto claim = TRY(Claim::machine(*this, machine));
  Entry entry = TRY(find(machine));
  const bool runs = entry.running && entry.running->status().runs;
  if (!runs && !discard) return Error("machine " + machine + " does not run");
  if (runs && !discard) TRY(entry.running->stop(kStopGrace));
  Entry former;
  {
    const std::lock_guard lock(mutex_);
    former = std::move(machines_[machine]);
    if (discard) {
      machines_.erase(machine);
    } else {
      machines_[machine] = {former.page, nullptr};
    }
  }
  former.running.reset();
  entry.running.reset();
  if (!discard) return {};
  std::error_code problem;
  // The page first: without it the rest is rubbish that load() clears away.
  ::unlink((folder_of(machine) / "machine.json").c_str());
  fs::remove_all(folder_of(machine), problem);
  if (problem) return errno_error(problem.value(), "remove " + folder_of(machine).string());
  return {};
}

std::vector<MachineView> Scrapbook::machines() const {
  const std::lock_guard lock(mutex_);
  std::vector<MachineView> views;
  for (const auto& [name, entry] : machines_) {
    views.push_back(
        {entry.page, entry.running ? entry.running->status() : RunningMachine::Status{}});
  }
  return views;
}

Result<Page> Scrapbook::take(const std::string& machine, const std::string& name, bool leave,
                             const StepReport& report) {
  const auto machine_claim = TRY(Claim::machine(*this, machine));
  const auto snapshot_claim = TRY(Claim::snapshot(*this, name));
  TRY(check_page_name(name));
  if (::access(file_of(name).c_str(), F_OK) == 0) {
    return Error("there is a snapshot " + name + "; 'mutua snapshot remove " + name +
                 "' removes it");
  }
  const Entry entry = TRY(find(machine));
  const auto running = TRY(find_running(machine));
  const TakenFolder taken(folder_of(machine) / "taken");
  TRY(make_folder(taken.path(),
                  fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec));
  vm::SnapshotRequest request;
  request.memory_file = taken.path() / "memory";
  request.disk_copy = taken.path() / "disk";
  if (leave) request.after = vm::SnapshotRequest::After::leave;
  const vm::SnapshotReport taken_report = TRY(running->take(request));
  report("taken: the machine stood still for " + std::to_string(taken_report.frozen.count()) +
         " us");
  Page page = entry.page;
  page.name = name;
  page.machine = machine;
  page.created = rfc3339(clock_.wall_now());
  page.generation = taken_report.generation;
  page.frozen = taken_report.frozen;
  page.layers = TRY(
      capture_machine(store_, {page.engine, request.memory_file, request.disk_copy, page.layers},
                      taken.path(), report));
  TRY(write_file_durably(file_of(name), print_page(page), 0600));
  log::info("snapshot.taken", {{"name", name}, {"machine", machine}});
  return page;
}

Result<std::vector<Page>> Scrapbook::snapshots() const {
  std::vector<Page> pages;
  std::error_code problem;
  for (fs::directory_iterator entry(root_ / "snapshots", problem), end; !problem && entry != end;
       entry.increment(problem)) {
    if (entry->path().extension() != kPageSuffix) continue;
    pages.push_back(TRY(read_page(entry->path().stem().string(), entry->path())));
  }
  if (problem) return errno_error(problem.value(), "list " + root_.string());
  std::ranges::sort(pages, {}, &Page::name);
  return pages;
}

Result<Page> Scrapbook::snapshot(const std::string& name) const {
  TRY(check_page_name(name));
  if (::access(file_of(name).c_str(), F_OK) != 0) {
    return Error("no snapshot is called " + name + "; see 'mutua snapshot list'");
  }
  return read_page(name, file_of(name));
}

Result<Page> Scrapbook::remove(const std::string& name) {
  const auto claim = TRY(Claim::snapshot(*this, name));
  Page page = TRY(snapshot(name));
  if (::unlink(file_of(name).c_str()) != 0) {
    return errno_error(errno, "remove " + file_of(name).string());
  }
  return page;
}

Result<Page> Scrapbook::rebase(const std::string& name, const std::optional<std::string>& parent) {
  const auto claim = TRY(Claim::snapshot(*this, name));
  Page page = TRY(snapshot(name));
  if (parent) {
    if (*parent == name) return Error("a snapshot is no delta of itself");
    const Page below = TRY(snapshot(*parent));
    page.layers = TRY(rebase_memory(store_, page.engine, page.layers, below.layers, root_));
  } else {
    page.layers = TRY(flatten_memory(store_, page.engine, page.layers, root_));
  }
  page.parent = parent.value_or("");
  TRY(write_file_durably(file_of(name), print_page(page), 0600));
  return page;
}

Result<void> Scrapbook::verify(const std::string& name) const {
  const Page page = TRY(snapshot(name));
  for (const Descriptor& layer : page.layers.descriptors()) {
    TRY(store_.verify(layer.digest));
  }
  TRY(restore_memory(store_, page.layers));
  return store_.verify(page.layers.memory.back().content);
}

Result<std::set<trust::Digest>> Scrapbook::digests() const {
  std::set<trust::Digest> all;
  const auto pages = TRY(snapshots());
  for (const Page& page : pages) all.merge(digests_of(page.layers));
  for (const MachineView& view : machines()) all.merge(digests_of(view.page.layers));
  return all;
}

}  // namespace mutua::peer
