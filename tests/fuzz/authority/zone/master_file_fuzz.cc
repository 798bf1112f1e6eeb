// Any text as a master file: an error, or records that make a zone or are refused by it.

#include "authority/zone/master_file.h"
#include "authority/zone/zone_version.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mutua;
  const auto apex = wire::Name::parse("f").value();
  auto rrsets = authority::parse_master_file(as_text({data, size}), "fuzz", apex);
  if (rrsets) (void)authority::ZoneVersion::create(apex, *std::move(rrsets)).ok();
  return 0;
}
