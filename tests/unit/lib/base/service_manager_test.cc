#include "base/service_manager.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>

#include "base/unique_fd.h"

namespace mutua {
namespace {

TEST(ServiceManager, IsToldWhereItListens) {
  const UniqueFd manager(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socklen_t size = sizeof(sa_family_t);  // the kernel picks an abstract name
  ASSERT_EQ(::bind(manager.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  size = sizeof address;
  ASSERT_EQ(::getsockname(manager.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::size_t length = size - offsetof(sockaddr_un, sun_path);
  ::setenv("NOTIFY_SOCKET", ("@" + std::string(address.sun_path + 1, length - 1)).c_str(), 1);
  notify_manager("READY=1");
  std::array<char, 64> said{};
  const auto octets = ::recv(manager.get(), said.data(), said.size(), MSG_DONTWAIT);
  EXPECT_EQ(std::string(said.data(), octets > 0 ? static_cast<std::size_t>(octets) : 0), "READY=1");
  ::unsetenv("NOTIFY_SOCKET");
}

TEST(ServiceManager, ThatIsNotThereOrNotNamedProperlyIsNotMissed) {
  for (const std::string name : {"", "/", "@", "@nobody-listens-here", "/no/such/socket"}) {
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
    notify_manager("READY=1");
  }
  ::setenv("NOTIFY_SOCKET", std::string(200, 'x').c_str(), 1);
  notify_manager("READY=1");
  ::unsetenv("NOTIFY_SOCKET");
  notify_manager("READY=1");
}

}  // namespace
}  // namespace mutua
