#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "base/unique_fd.h"
#include "cli/command.h"
#include "cli/output.h"

namespace mutua::cli {
namespace {

using boost::json::object;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr const char* kRunHelp = R"(usage: mutua machine run [--stdin] NAME COMMAND [WORD...]

Runs a shell command as root within a machine of yours, and prints what it prints. With --stdin the
command reads this one's input:

  tar c index.html | mutua machine run --stdin web 'tar x -C /www'

The machines of a published snapshot obey no such command.
)";

constexpr std::string_view kReady = "mutua-agent: ready\n";
constexpr std::string_view kEnd = "mutua-agent: exit ";
constexpr std::chrono::seconds kBootPatience{30};  // the machine may still boot
constexpr milliseconds kRetry{100};
constexpr std::size_t kLongestEnd = 40;

struct Agent {
  std::uint16_t port = 0;
  std::string token;
};

Result<Agent> find_agent(const Sockets& sockets, const std::string& machine) {
  const object answer = TRY(ask(sockets.peer, {{"command", "machine agent"}, {"name", machine}}));
  const auto* port = answer.if_contains("port");
  if (!port || !port->is_number()) return Error("the peer did not name the agent's port");
  return Agent{port->to_number<std::uint16_t>(), text_of(answer, "token")};
}

Result<void> send_all(int socket, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno_error(errno, "send to the machine");
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

// A connection whose agent has taken the token; none where the machine does not answer so yet.
std::optional<UniqueFd> greet(const Agent& agent) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(agent.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      !send_all(socket.get(), agent.token + "\n").ok()) {
    return std::nullopt;
  }
  std::array<char, kReady.size()> greeting{};
  std::size_t filled = 0;
  while (filled < greeting.size()) {
    pollfd readable{socket.get(), POLLIN, 0};
    if (::poll(&readable, 1, milliseconds(kBootPatience).count()) <= 0) return std::nullopt;
    const ssize_t got = ::recv(socket.get(), greeting.data() + filled, greeting.size() - filled, 0);
    if (got <= 0) return std::nullopt;
    filled += static_cast<std::size_t>(got);
  }
  if (std::string_view(greeting.data(), greeting.size()) != kReady) return std::nullopt;
  return socket;
}

Result<UniqueFd> reach(const Agent& agent, const std::string& machine) {
  const auto deadline = steady_clock::now() + kBootPatience;
  for (;;) {
    if (auto socket = greet(agent)) return std::move(*socket);
    if (steady_clock::now() > deadline) break;
    ::poll(nullptr, 0, static_cast<int>(kRetry.count()));
  }
  return Error("the agent of machine " + machine + " does not answer; 'mutua machine console " +
               machine + "' may tell why");
}

// What came, but for the end of it, which may be the agent's last line.
class Output {
 public:
  void add(std::string_view text) {
    held_.append(text);
    if (held_.size() <= kLongestEnd) return;
    const std::size_t count = held_.size() - kLongestEnd;
    std::fwrite(held_.data(), 1, count, stdout);
    held_.erase(0, count);
  }

  // Prints the rest; the command's exit status.
  Result<int> finish() {
    const auto at = held_.rfind(kEnd);
    std::fwrite(held_.data(), 1, std::min(at, held_.size()), stdout);
    std::fflush(stdout);
    if (at == std::string::npos) return Error("the connection to the machine broke off");
    return std::atoi(held_.c_str() + at + kEnd.size());
  }

 private:
  std::string held_;
};

// Passes input and output on until the machine has closed its end.
Result<void> pump(int socket, bool with_input, Output& output) {
  std::array<char, 65536> buffer;
  bool reads_input = with_input;
  if (!with_input) ::shutdown(socket, SHUT_WR);
  for (;;) {
    pollfd events[] = {{socket, POLLIN, 0}, {reads_input ? STDIN_FILENO : -1, POLLIN, 0}};
    if (::poll(events, 2, -1) < 0 && errno != EINTR) return errno_error(errno, "poll");
    if (events[0].revents != 0) {
      const ssize_t got = ::recv(socket, buffer.data(), buffer.size(), 0);
      if (got < 0 && errno != EINTR) return errno_error(errno, "read from the machine");
      if (got == 0) return {};
      if (got > 0) output.add({buffer.data(), static_cast<std::size_t>(got)});
    }
    if (events[1].revents == 0) continue;
    const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got > 0) {
      TRY(send_all(socket, {buffer.data(), static_cast<std::size_t>(got)}));
    } else if (got == 0 || errno != EINTR) {
      reads_input = false;
      ::shutdown(socket, SHUT_WR);
    }
  }
}

Result<void> run_run(const Arguments& arguments, const Sockets& sockets) {
  const std::string& machine = arguments.word(0);
  std::string command;
  for (std::size_t i = 1; i < arguments.word_count(); ++i) {
    command += (i == 1 ? "" : " ") + arguments.word(i);
  }
  if (command.find('\n') != std::string::npos) return Error("a command is one line");
  const Agent agent = TRY(find_agent(sockets, machine));
  const UniqueFd socket = TRY(reach(agent, machine));
  TRY(send_all(socket.get(), command + "\n"));
  Output output;
  TRY(pump(socket.get(), arguments.has("stdin"), output));
  const int status = TRY(output.finish());
  if (status != 0) return Error("the command ended with status " + std::to_string(status));
  return {};
}

}  // namespace

std::vector<Command> machine_run_commands() {
  return {
      {"machine run", "run a command within a machine", kRunHelp, {{}, {"stdin"}, 2, 64}, run_run}};
}

}  // namespace mutua::cli
