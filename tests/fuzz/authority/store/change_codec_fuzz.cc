#include <cstdint>

#include "authority/store/change_codec.h"
#include "base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const mutua::BytesView bytes(data, size);
  if (const auto change = mutua::authority::decode_change_set(bytes); change.ok()) {
    BASE_ASSERT(mutua::authority::encode_change_set(*change) == mutua::to_bytes(bytes));
  }
  if (const auto transaction = mutua::authority::decode_transaction(bytes); transaction.ok()) {
    BASE_ASSERT(mutua::authority::encode_transaction(*transaction) == mutua::to_bytes(bytes));
  }
  (void)mutua::authority::decode_rdatas(bytes).ok();
  return 0;
}
