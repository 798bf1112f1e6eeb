// A request that passes is_sane() has a name that ends within it.

#include <cstring>

#include "base/assert.h"
#include "local_protocol/local_protocol.h"
#include "resolver/local_api/nss_server.h"
#include "wire/name.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mutua_local_request request;
  if (size < sizeof request) return 0;
  std::memcpy(&request, data, sizeof request);
  if (!mutua::resolver::is_sane(request) || request.operation != MUTUA_LOCAL_BY_NAME) return 0;
  const std::string text(request.name, request.name_length);
  BASE_ASSERT(text.size() == std::strlen(request.name));
  const auto name = mutua::wire::Name::parse(text);
  if (name) BASE_ASSERT(!mutua::resolver::key_of(*name).empty());
  return 0;
}
