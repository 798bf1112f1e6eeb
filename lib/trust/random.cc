#include "trust/random.h"

#include <openssl/rand.h>

#include "base/assert.h"
#include "base/encoding.h"

namespace mutua::trust {

Bytes random_bytes(std::size_t count) {
  Bytes bytes(count);
  BASE_ASSERT(RAND_bytes(bytes.data(), static_cast<int>(count)) == 1);
  return bytes;
}

std::string random_hex(std::size_t count) { return hex_encode(random_bytes(count)); }

std::uint32_t random_u32() { return load_u32(random_bytes(4).data()); }

}  // namespace mutua::trust
