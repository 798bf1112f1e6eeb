#pragma once

#include <arpa/inet.h>
#include <dirent.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "peer/vm/machine.h"
#include "peer/vm/uml/cow.h"
#include "peer/vm/uml/uml_engine.h"
#include "support/places.h"

namespace mutua::vm {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Generous: two shared processors, and a sanitizer may watch.
constexpr milliseconds kPatience{60'000};

inline bool eventually(const std::function<bool()>& condition, milliseconds deadline = kPatience) {
  const auto end = steady_clock::now() + deadline;
  while (!condition()) {
    if (steady_clock::now() > end) return false;
    ::poll(nullptr, 0, 10);
  }
  return true;
}

inline UniqueFd connect_tcp(const std::string& host, std::uint16_t port) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{5, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, host.c_str(), &address.sin_addr);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    socket.reset();
  }
  return socket;
}

// The whole answer to a GET; empty while there is none.
inline std::string fetch(std::uint16_t port, const std::string& path = "/") {
  const UniqueFd socket = connect_tcp("127.0.0.1", port);
  if (!socket) return {};
  const std::string request = "GET " + path + " HTTP/1.0\r\n\r\n";
  if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return {};
  std::string answer;
  char buffer[4096];
  for (ssize_t got; (got = ::recv(socket.get(), buffer, sizeof buffer, 0)) > 0;) {
    answer.append(buffer, static_cast<std::size_t>(got));
  }
  return answer;
}

// The processes among whose arguments one equals `argument`.
inline std::vector<pid_t> processes_with(const std::string& argument) {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    // getline, since stream iterators throw when a process ends between its opening and its
    // reading.
    std::ifstream file(entry.path() / "cmdline");
    std::string line;
    std::getline(file, line, '\n');
    std::istringstream arguments(line);
    for (std::string one; std::getline(arguments, one, '\0');) {
      if (one == argument) found.push_back(std::stoi(name));
    }
  }
  return found;
}

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Adds files to a copy of the base image, and gives the spec a fresh COW file with just the
// blocks that differ: the way of a service's delta from its owner to a peer.
inline void install_service(const MachineSpec& spec, const std::filesystem::path& folder,
                            const std::string& start_script) {
  const auto tree = folder / "tree";
  std::filesystem::create_directories(tree / "etc/mutua");
  std::ofstream(tree / "etc/mutua/start") << start_script;
  std::filesystem::permissions(tree / "etc/mutua/start", std::filesystem::perms(0755));
  const auto derived = folder / "derived.img";
  const std::string command = (test::source_folder() / "peer/vm/uml/base/add-files.sh").string() +
                              ' ' + spec.base_disk.string() + ' ' + tree.string() + ' ' +
                              derived.string();
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  const auto delta = uml::compare(spec.base_disk, derived);
  ASSERT_TRUE(delta.ok()) << delta.error().message();
  EXPECT_LT(delta->size(), 64u);
  std::filesystem::remove(spec.scratch_disk);
  auto cow = uml::CowFile::create(spec.scratch_disk, spec.base_disk);
  ASSERT_TRUE(cow.ok());
  std::ifstream image(derived, std::ios::binary);
  for (const std::uint64_t block : *delta) {
    uml::Block content;
    image.seekg(static_cast<std::streamoff>(block * uml::kBlockBytes));
    image.read(reinterpret_cast<char*>(content.data()), uml::kBlockBytes);
    ASSERT_TRUE(cow->write_block(block, content).ok());
  }
  ASSERT_TRUE(cow->commit().ok());
}

// A listener that should never hear a guest.
struct Listener {
  explicit Listener(const char* host) : socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    inet_pton(AF_INET, host, &address.sin_addr);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(socket.get(), 8), 0);
    EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port = ntohs(address.sin_port);
  }
  bool heard_anyone() const {
    pollfd event{socket.get(), POLLIN, 0};
    return ::poll(&event, 1, 0) == 1;
  }
  UniqueFd socket;
  std::uint16_t port = 0;
};

// A folder with scratch disks above the real base image, and the real engine.
class MachineTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* kernel = std::getenv(kernel_variable());
    const char* base = std::getenv("MUTUA_BASE_IMAGE");
    if (!kernel || !base) {
      GTEST_SKIP() << kernel_variable()
                   << " and MUTUA_BASE_IMAGE are not set: no machine is booted. "
                      "See peer/vm/*/kernel/build.sh and peer/vm/uml/base/build.sh";
    }
    kernel_ = kernel;
    base_ = base;
    std::string pattern = testing::TempDir() + "mutua-vm-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }

  void TearDown() override {
    if (folder_.empty()) return;
    if (HasFailure()) {
      for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
        if (entry.path().extension() == ".log") {
          std::cerr << entry.path() << ":\n" << read_text(entry.path()) << '\n';
        }
      }
    }
    std::filesystem::remove_all(folder_);
  }

  virtual const char* kernel_variable() const { return "MUTUA_KERNEL"; }
  virtual Engine& engine() { return engine_; }

  // A spec whose disk, log and name belong to it alone. Port 80 is mapped.
  MachineSpec make_spec(const std::string& label) {
    MachineSpec spec;
    spec.name = label + '-' + std::to_string(::getpid());
    spec.kernel = kernel_;
    spec.base_disk = base_;
    spec.scratch_disk = folder_ / (label + ".cow");
    spec.console_log = folder_ / (label + ".log");
    spec.run_dir = folder_;
    PortMapping http;
    http.guest_port = 80;
    spec.ports = {http};
    EXPECT_TRUE(uml::CowFile::create(spec.scratch_disk, base_).ok());
    return spec;
  }

  std::unique_ptr<Machine> boot(const MachineSpec& spec) {
    auto machine = engine().start(spec);
    if (!machine.ok()) {
      ADD_FAILURE() << machine.error().message();
      return nullptr;
    }
    const auto running = (*machine)->wait_for(State::running, kPatience);
    EXPECT_TRUE(running.ok()) << running.error().message();
    EXPECT_EQ((*machine)->state(), State::running)
        << ((*machine)->exit() ? (*machine)->exit()->detail : "");
    return std::move(*machine);
  }

  SnapshotRequest make_request(const std::string& label) const {
    SnapshotRequest request;
    request.memory_file = folder_ / (label + ".memory");
    request.disk_copy = folder_ / (label + ".disk");
    return request;
  }

  static Result<SnapshotReport> take(Machine& machine, const SnapshotRequest& request) {
    TRY(machine.take(request));
    if (!eventually([&] {
          machine.handle_readable();
          return machine.snapshot().has_value();
        })) {
      return errorf("no outcome");
    }
    return *machine.snapshot();
  }

  static std::string host_argument(const MachineSpec& spec) {
    return "mutua.hostname=" + spec.name;
  }

  std::filesystem::path kernel_, base_, folder_;
  uml::UmlEngine engine_{test::build_folder() / "bin/mutua-machine"};
};

}  // namespace mutua::vm
