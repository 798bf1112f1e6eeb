// Any octets as the header of a COW disk: what is accepted is consistent and prints back.
#include "base/assert.h"
#include "peer/vm/uml/cow.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mutua;
  using namespace mutua::vm::uml;
  const auto header = parse_cow_header(BytesView(data, size));
  if (!header.ok()) return 0;
  BASE_ASSERT(header->disk_bytes <= kLargestDiskBytes);
  BASE_ASSERT(header->bitmap_offset() >= kCowHeaderBytes);
  BASE_ASSERT(header->data_offset() >= header->bitmap_offset() + header->bitmap_bytes());
  const auto again = parse_cow_header(print_cow_header(*header));
  BASE_ASSERT(again.ok());
  BASE_ASSERT(again->backing_path == header->backing_path &&
              again->disk_bytes == header->disk_bytes && again->alignment == header->alignment);
  return 0;
}
