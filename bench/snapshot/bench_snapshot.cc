// bench_snapshot: keeps machines for bench/snapshot/run, and times them where a script could not.
// Commands come as lines of words, answers leave as one line each, "ok …" or "error …":
//
//   disk BASE DERIVED OUTPUT               a COW disk above BASE with what DERIVED has besides
//   start NAME ENGINE MEMORY_MIB KERNEL BASE SCRATCH [SNAPSHOT]
//                                          until the first HTTP answer: running_us= answer_us= port= pid=
//   take NAME MEMORY_FILE DISK_COPY        frozen_us= bytes= take_us=
//   fetch NAME PATH                        answer_us=
//   kill NAME                              when it returns, no process of the machine is left

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "peer/vm/machine.h"
#include "peer/vm/machine_program.h"
#include "peer/vm/qemu/qemu_engine.h"
#include "peer/vm/uml/cow.h"
#include "peer/vm/uml/uml_engine.h"

namespace {

using namespace mutua;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPatience{120'000};
constexpr int kRetryMilliseconds = 1;
// After a start the engine makes another process ready, as in the daemon; not while this times.
constexpr milliseconds kSettle = vm::MachineProgram::kRefillPause + milliseconds(200);

long long since(steady_clock::time_point begin) {
  return std::chrono::duration_cast<microseconds>(steady_clock::now() - begin).count();
}

// True once the whole answer to one GET has come with status 200.
bool fetch(std::uint16_t port, const std::string& path) {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{30, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return false;
  }
  const std::string request = "GET " + path + " HTTP/1.0\r\n\r\n";
  if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return false;
  std::string answer;
  char buffer[4096];
  for (ssize_t got; (got = ::recv(socket.get(), buffer, sizeof buffer, 0)) > 0;) {
    answer.append(buffer, static_cast<std::size_t>(got));
  }
  return answer.starts_with("HTTP/1.") && answer.find(" 200 ") == 8;
}

Result<void> await_answer(vm::Machine& machine, const std::string& path) {
  const auto end = steady_clock::now() + kPatience;
  while (!fetch(machine.ports()[0].host_port, path)) {
    machine.handle_readable();
    if (machine.state() == vm::State::exited) return Error(machine.exit()->detail);
    if (steady_clock::now() > end) return errorf("no answer");
    ::poll(nullptr, 0, kRetryMilliseconds);
  }
  return {};
}

class Bench {
 public:
  Bench(std::filesystem::path programs, std::filesystem::path folder)
      : uml_(programs / "mutua-machine"),
        qemu_(programs / "mutua-machine"),
        folder_(std::move(folder)) {
    uml_.keep_one_ready();
    qemu_.keep_one_ready();
    std::this_thread::sleep_for(kSettle);
  }

  Result<std::string> run(const std::vector<std::string>& words) {
    const std::string& command = words[0];
    if (command == "disk" && words.size() == 4) return make_disk(words[1], words[2], words[3]);
    if (command == "start" && words.size() >= 7) return start(words);
    if (command == "take" && words.size() == 4) return take(words);
    if (command == "fetch" && words.size() == 3) return time_fetch(words);
    if (command == "kill" && words.size() == 2) {
      machines_.erase(words[1]);
      return std::string();
    }
    return errorf("not understood");
  }

 private:
  static Result<std::string> make_disk(const std::string& base, const std::string& derived,
                                       const std::string& output) {
    auto cow = TRY(vm::uml::CowFile::create(output, base));
    std::ifstream image(derived, std::ios::binary);
    for (const std::uint64_t block : TRY(vm::uml::compare(base, std::filesystem::path(derived)))) {
      vm::uml::Block content;
      image.seekg(static_cast<std::streamoff>(block * vm::uml::kBlockBytes));
      image.read(reinterpret_cast<char*>(content.data()), vm::uml::kBlockBytes);
      TRY(cow.write_block(block, content));
    }
    TRY(cow.commit());
    return std::string();
  }

  Result<vm::Engine*> engine(const std::string& name) {
    if (name == "uml") return &uml_;
    if (name == "qemu") return &qemu_;
    return errorf("no engine %s", name.c_str());
  }

  Result<std::string> start(const std::vector<std::string>& words) {
    vm::MachineSpec spec;
    spec.name = words[1];
    spec.memory_bytes = std::stoull(words[3]) << 20;
    spec.kernel = words[4];
    spec.base_disk = words[5];
    spec.scratch_disk = words[6];
    if (words.size() > 7) spec.memory_snapshot = words[7];
    spec.console_log = folder_ / (spec.name + ".log");
    spec.run_dir = folder_;
    spec.limits.cpu_percent = 100;
    vm::PortMapping http;
    http.guest_port = 80;
    spec.ports = {http};
    const auto begin = steady_clock::now();
    vm::Engine* const chosen = TRY(engine(words[2]));
    auto machine = TRY(chosen->start(spec));
    TRY(machine->wait_for(vm::State::running, kPatience));
    if (machine->state() != vm::State::running) return Error(machine->exit()->detail);
    const auto running = since(begin);
    const auto port = machine->ports()[0].host_port;
    TRY(await_answer(*machine, "/"));
    const auto answered = since(begin);
    std::ostringstream answer;
    answer << "running_us=" << running << " answer_us=" << answered << " port=" << port
           << " pid=" << machine->pid();
    machines_[spec.name] = std::move(machine);
    std::this_thread::sleep_for(kSettle);
    return answer.str();
  }

  Result<vm::Machine*> machine(const std::string& name) {
    const auto found = machines_.find(name);
    if (found == machines_.end()) return errorf("no machine %s", name.c_str());
    found->second->handle_readable();
    if (found->second->state() != vm::State::running) {
      return errorf("machine %s does not run", name.c_str());
    }
    return found->second.get();
  }

  Result<std::string> take(const std::vector<std::string>& words) {
    vm::Machine& taken = *TRY(machine(words[1]));
    vm::SnapshotRequest request;
    request.memory_file = words[2];
    request.disk_copy = words[3];
    request.deadline = kPatience;
    const auto begin = steady_clock::now();
    TRY(taken.take(request));
    while (!taken.snapshot()) {
      if (taken.state() == vm::State::exited) return errorf("the machine ended");
      pollfd event{taken.event_fd(), POLLIN, 0};
      if (::poll(&event, 1, static_cast<int>(kPatience.count())) <= 0) return errorf("no outcome");
      taken.handle_readable();
    }
    Result<vm::SnapshotReport> outcome = *taken.snapshot();
    const vm::SnapshotReport report = TRY(std::move(outcome));
    std::ostringstream answer;
    answer << "frozen_us=" << report.frozen.count() << " bytes=" << report.bytes
           << " take_us=" << since(begin);
    return answer.str();
  }

  Result<std::string> time_fetch(const std::vector<std::string>& words) {
    vm::Machine& asked = *TRY(machine(words[1]));
    const auto begin = steady_clock::now();
    TRY(await_answer(asked, words[2]));
    return "answer_us=" + std::to_string(since(begin));
  }

  vm::uml::UmlEngine uml_;
  vm::qemu::QemuEngine qemu_;
  const std::filesystem::path folder_;
  std::map<std::string, std::unique_ptr<vm::Machine>> machines_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: bench_snapshot PROGRAMS FOLDER; ./dev bench snapshot starts it\n", stderr);
    return 2;
  }
  Bench bench(argv[1], argv[2]);
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream stream(line);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    if (words.empty()) continue;
    const auto answer = bench.run(words);
    if (answer.ok()) {
      std::cout << "ok " << *answer << std::endl;
    } else {
      std::cout << "error " << answer.error().message() << std::endl;
    }
  }
  return 0;
}
