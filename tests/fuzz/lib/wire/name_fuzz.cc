// Any octets as a name in a message and as a name in text.
#include "base/assert.h"
#include "wire/name.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mutua;
  using namespace mutua::wire;
  const BytesView bytes(data, size);
  std::size_t offset = size > 0 ? data[0] % size : 0;
  const std::size_t start = offset;
  if (const auto name = read_name(bytes, offset); name.ok()) {
    BASE_ASSERT(offset > start && offset <= size);
    BASE_ASSERT(Name::parse(name->to_text()).value() == *name);
    std::size_t skipped = start;
    BASE_ASSERT(skip_name(bytes, skipped) && skipped == offset);
  }
  if (const auto name = Name::parse(as_text(bytes)); name.ok()) {
    BASE_ASSERT(Name::from_wire(name->wire()).value() == *name);
  }
  return 0;
}
