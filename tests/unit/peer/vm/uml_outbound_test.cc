#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "unit/peer/vm/machine_fixture.h"

namespace mutua::vm {
namespace {

using UmlOutbound = MachineTest;

// Two network namespaces joined by a cable, with addresses that count as public: the machine's
// host at 198.41.0.1, another one at 198.41.0.4.
constexpr const char* kHost = "198.41.0.1";
constexpr const char* kFar = "198.41.0.4";
constexpr std::uint16_t kFarPort = 8080;

bool run_command(const std::string& command) { return std::system(command.c_str()) == 0; }

// Answers every connection with one word, for ever.
[[noreturn]] void serve_far(int network_ready) {
  char byte = 0;
  if (::read(network_ready, &byte, 1) != 1) ::_exit(1);
  if (!run_command(std::string("ip link set lo up && ip addr add ") + kFar +
                   "/24 dev far && ip link set far up")) {
    ::_exit(1);
  }
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(kFarPort);
  if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener.get(), 8) != 0) {
    ::_exit(1);
  }
  for (;;) {
    const UniqueFd client(::accept(listener.get(), nullptr, nullptr));
    (void)!::write(client.get(), "welcome\n", 8);
  }
}

// Runs `body` in a namespace of its own with that cable; false when the host does not allow it.
bool with_two_hosts(const std::function<void()>& body) {
  const pid_t near = ::fork();
  if (near == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    int go[2], unshared[2];
    if (::unshare(CLONE_NEWNET) != 0 || ::pipe(go) != 0 || ::pipe(unshared) != 0) ::_exit(77);
    const pid_t far = ::fork();
    if (far == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::unshare(CLONE_NEWNET) != 0) ::_exit(1);
      (void)!::write(unshared[1], "u", 1);
      serve_far(go[0]);
    }
    char byte = 0;
    if (::read(unshared[0], &byte, 1) != 1 ||
        !run_command("ip link set lo up && ip link add near type veth peer name far && "
                     "ip link set far netns " +
                     std::to_string(far) + std::string(" && ip addr add ") + kHost +
                     "/24 dev near && ip link set near up")) {
      ::_exit(77);
    }
    (void)!::write(go[1], "g", 1);
    body();
    ::kill(far, SIGKILL);
    ::waitpid(far, nullptr, 0);
    std::cout.flush();
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ::waitpid(near, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) return false;
  EXPECT_EQ(status, 0);
  return true;
}

TEST_F(UmlOutbound, ReachesPublicAddressesButNeitherItsHostNorPrivateOnes) {
  MachineSpec spec = make_spec("public");
  spec.outbound = Outbound::yes;
  const bool ran = with_two_hosts([&] {
    const Listener everywhere("0.0.0.0");
    const std::string port = std::to_string(everywhere.port);
    std::string script = "#!/bin/sh\nmkdir -p /tmp/www\n";
    for (const std::string& target : {std::string(kFar) + " 8080", std::string(kHost) + ' ' + port,
                                      "10.255.255.254 " + port, "127.0.0.1 " + port}) {
      script += "nc -w 2 " + target + " < /dev/null > /tmp/said && echo reached " + target +
                " $(cat /tmp/said) >> /tmp/www/index.html\n";
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
    EXPECT_NE(page.find(std::string("reached ") + kFar + " 8080 welcome"), std::string::npos)
        << page;
    EXPECT_EQ(page.find(std::string("reached ") + kHost), std::string::npos) << page;
    EXPECT_EQ(page.find("reached 10."), std::string::npos) << page;
    EXPECT_EQ(page.find("reached 127."), std::string::npos) << page;
    EXPECT_FALSE(everywhere.heard_anyone());
  });
  if (!ran) GTEST_SKIP() << "no right to make network namespaces: the way out is not tested";
}

}  // namespace
}  // namespace mutua::vm
