// Whatever a table holds, its reader stays within it, ends, and gives bounded names.
//
//   input: 8 octets of time, then one octet each of family, name length; the name; then patches of
//   the table: 3 octets of place (in units of 4 octets), 1 of length, and so many octets

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "base/assert.h"
#include "nss_module/table_reader.h"

namespace {

struct Input {
  const std::uint8_t* next;
  std::size_t left;

  bool take(void* to, std::size_t size) {
    if (size > left) return false;
    if (size > 0) std::memcpy(to, next, size);
    next += size;
    left -= size;
    return true;
  }
};

void check(mutua_table_outcome outcome, const mutua_local_response& response) {
  if (outcome != MUTUA_TABLE_ANSWERED || response.status != MUTUA_LOCAL_FOUND) return;
  BASE_ASSERT(response.name_length >= 1 && response.name_length < MUTUA_LOCAL_NAME_SIZE);
  BASE_ASSERT(strnlen(response.name, sizeof response.name) == response.name_length);
  BASE_ASSERT(response.family == AF_INET || response.family == AF_INET6);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Exactly as large as the table, so that a sanitizer guards both ends; cleared by its patches.
  static const auto table = std::make_unique<mutua_table>();
  Input input{data, size};
  std::uint64_t now = 0;
  std::uint8_t family = 0, length = 0;
  char name[255];
  if (!input.take(&now, 8) || !input.take(&family, 1) || !input.take(&length, 1) ||
      !input.take(name, length))
    return 0;
  table->header.magic = MUTUA_TABLE_MAGIC;
  table->header.alive_until = ~std::uint64_t{0};
  // One slot where the name is looked for, so that the patches need not find a hash.
  const std::uint64_t hash = mutua_table_hash(0, name, length);
  const std::size_t slot = mutua_table_bucket(hash) * MUTUA_TABLE_WAYS;
  table->names[slot / MUTUA_TABLE_WAYS][0] = mutua_table_tag(hash);
  std::uint64_t* words = table->slots[slot];
  words[1] = ~std::uint64_t{0};
  words[2] = static_cast<std::uint64_t>(length) << 32 | 0x7fc80102u;
  if (length > 0) std::memcpy(words + MUTUA_TABLE_NAME_WORD, name, length);

  auto* octets = reinterpret_cast<std::uint8_t*>(table.get());
  std::vector<std::pair<std::size_t, std::size_t>> patched;
  std::uint8_t place[3], patch = 0;
  while (input.take(place, 3) && input.take(&patch, 1)) {
    const std::size_t offset =
        4 * (std::size_t{place[0]} | std::size_t{place[1]} << 8 | std::size_t{place[2]} << 16) %
        sizeof *table;
    const std::size_t count = std::min({std::size_t{patch}, input.left, sizeof *table - offset});
    input.take(octets + offset, count);
    patched.emplace_back(offset, count);
  }
  mutua_local_response response{};
  const int asked = family % 3 == 0 ? AF_UNSPEC : family % 3 == 1 ? AF_INET : AF_INET6;
  check(mutua_table_by_name(table.get(), name, length, asked, now, &response), response);
  std::uint8_t address[16] = {};
  std::memcpy(address, name, std::min<std::size_t>(length, sizeof address));
  check(mutua_table_by_address(table.get(), address, family % 2 == 0 ? AF_INET : AF_INET6, now,
                               &response),
        response);
  for (const auto& [offset, count] : patched) std::memset(octets + offset, 0, count);
  table->names[slot / MUTUA_TABLE_WAYS][0] = 0;
  std::memset(words, 0, sizeof table->slots[slot]);
  return 0;
}
