// What the NSS module makes of a daemon's octets. The daemon is a thread on ./resolver.sock that
// answers every request with the input, cut or padded to what the input's first octet says.

#include <cstring>
#include <memory>
#include <mutex>

#include "tests/unit/nss_module/fake_daemon.h"
#include "tests/unit/nss_module/module_functions.h"

namespace {

std::mutex mutex;
mutua::Bytes answer;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const mutua::SocketFolder folder;
  static const mutua::FakeDaemon daemon([](const mutua_local_request&) {
    const std::lock_guard lock(mutex);
    return answer;
  });
  if (size < 2) return 0;
  {
    const std::lock_guard lock(mutex);
    answer.assign(data + 2, data + size);
    if ((data[0] & 1) != 0) answer.resize(sizeof(mutua_local_response));
  }
  const std::size_t buffer_size = data[1] * 4u;
  const std::unique_ptr<char[]> buffer(new char[buffer_size]);
  int error = 0, h_error = 0;
  hostent host{};
  gaih_addrtuple* tuples = nullptr;
  std::size_t octets_read = 0;
  if (_nss_mutua_gethostbyname_r("a", &host, buffer.get(), buffer_size, &error, &h_error) ==
      NSS_STATUS_SUCCESS) {
    octets_read += std::strlen(host.h_name);
    for (char** address = host.h_addr_list; *address != nullptr; ++address) {
      octets_read += static_cast<std::uint8_t>((*address)[host.h_length - 1]);
    }
  }
  if (_nss_mutua_gethostbyname4_r("a", &tuples, buffer.get(), buffer_size, &error, &h_error,
                                  nullptr) == NSS_STATUS_SUCCESS) {
    for (; tuples != nullptr; tuples = tuples->next) octets_read += std::strlen(tuples->name);
  }
  BASE_ASSERT(octets_read < 16 * 1024);  // everything was read, and nothing of it lay outside
  return 0;
}
