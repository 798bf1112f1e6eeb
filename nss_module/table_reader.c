#include "nss_module/table_reader.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

enum { kNanosecondsInSecond = 1000000000, kLongestTtl = 3600 };

/* Acquiring loads keep their order among themselves, which is all that a sequence lock asks of its
 * reader; on x86-64 and AArch64 they cost what plain loads cost. */
static uint64_t load64(const uint64_t* word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static uint32_t load32(const uint32_t* word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }

static bool is_alive(const struct mutua_table* table, uint64_t now) {
  return table->header.magic == MUTUA_TABLE_MAGIC && load64(&table->header.alive_until) > now;
}

/* One slot as it stood at one moment; false when it was empty, over, being written, or nonsense.
 * The name, its length and the IPv4 address go to `response`. */
static bool copy_slot(const struct mutua_table* table, size_t slot, uint64_t now,
                      struct mutua_local_response* response) {
  const uint64_t* words = table->slots[slot];
  const uint64_t sequence = load64(&words[0]);
  const uint64_t valid_until = load64(&words[1]);
  const uint64_t sizes = load64(&words[2]);
  const uint64_t length = sizes >> 32;
  if ((sequence & 1) != 0 || valid_until <= now) return false;
  if (length == 0 || length > MUTUA_TABLE_NAME_MAX) return false;
  for (size_t i = 0; i * 8 < length; ++i) {
    const uint64_t word = load64(&words[MUTUA_TABLE_NAME_WORD + i]);
    memcpy(response->name + i * 8, &word, 8);
  }
  if (load64(&words[0]) != sequence) return false;
  response->name[length] = '\0';
  response->name_length = (uint32_t)length;
  const uint32_t ipv4 = (uint32_t)sizes;
  for (int i = 0; i < 4; ++i) response->address[0][i] = (uint8_t)(ipv4 >> (24 - 8 * i));
  const uint64_t seconds = (valid_until - now) / kNanosecondsInSecond;
  response->ttl = seconds < kLongestTtl ? (uint32_t)seconds : kLongestTtl;
  return strlen(response->name) == length;
}

/* Makes the found response one of `family`, where the table has such addresses. */
static void give_family(const struct mutua_table* table, int family,
                        struct mutua_local_response* response) {
  response->magic = MUTUA_LOCAL_RESPONSE_MAGIC;
  response->status = MUTUA_LOCAL_FOUND;
  response->address_count = 1;
  response->family = AF_INET;
  if (family != AF_INET6) return;
  if ((table->header.flags & MUTUA_TABLE_HAS_IPV6) == 0) {
    response->status = MUTUA_LOCAL_NO_DATA;
    return;
  }
  response->family = AF_INET6;
  memcpy(response->address[0] + 12, response->address[0], 4);
  memcpy(response->address[0], table->header.ipv6_prefix, 12);
}

/* Whether the federation may have a word on `key`. */
static bool is_concerned(const struct mutua_table* table, const char* key, size_t length) {
  const struct mutua_table_header* header = &table->header;
  const size_t zone = header->zone_length;
  if ((header->flags & MUTUA_TABLE_ALL_NAMES) != 0 || zone == 0 || zone > MUTUA_TABLE_NAME_MAX)
    return true;
  if (length < zone || memcmp(key + length - zone, header->zone, zone) != 0) return false;
  return length == zone || key[length - zone - 1] == '.';
}

enum mutua_table_outcome mutua_table_by_name(const struct mutua_table* table, const char* name,
                                             size_t length, int family, uint64_t now,
                                             struct mutua_local_response* response) {
  if (!is_alive(table, now)) return MUTUA_TABLE_DEAD;
  if (length == 0 || length > MUTUA_TABLE_NAME_MAX) return MUTUA_TABLE_UNKNOWN;
  char key[MUTUA_TABLE_NAME_MAX + 1];
  for (size_t i = 0; i < length; ++i) {
    const char letter = name[i];
    if (letter == '\\') return MUTUA_TABLE_UNKNOWN; /* one name, several texts */
    key[i] = (char)(letter >= 'A' && letter <= 'Z' ? letter + ('a' - 'A') : letter);
  }
  if (!is_concerned(table, key, length)) {
    response->magic = MUTUA_LOCAL_RESPONSE_MAGIC;
    response->status = MUTUA_LOCAL_NOT_FOUND;
    return MUTUA_TABLE_ANSWERED;
  }
  const uint64_t hash = mutua_table_hash(table->header.seed, key, length);
  const size_t bucket = mutua_table_bucket(hash);
  const uint32_t tag = mutua_table_tag(hash);
  for (size_t way = 0; way < MUTUA_TABLE_WAYS; ++way) {
    if (load32(&table->names[bucket][way]) != tag) continue;
    if (!copy_slot(table, bucket * MUTUA_TABLE_WAYS + way, now, response)) continue;
    if (response->name_length != length || memcmp(response->name, key, length) != 0) continue;
    give_family(table, family, response);
    return MUTUA_TABLE_ANSWERED;
  }
  return MUTUA_TABLE_UNKNOWN;
}

enum mutua_table_outcome mutua_table_by_address(const struct mutua_table* table,
                                                const uint8_t* address, int family, uint64_t now,
                                                struct mutua_local_response* response) {
  if (!is_alive(table, now)) return MUTUA_TABLE_DEAD;
  if (family == AF_INET6) {
    if ((table->header.flags & MUTUA_TABLE_HAS_IPV6) == 0 ||
        memcmp(address, table->header.ipv6_prefix, 12) != 0)
      return MUTUA_TABLE_UNKNOWN;
    address += 12;
  }
  const uint32_t ipv4 = (uint32_t)address[0] << 24 | (uint32_t)address[1] << 16 |
                        (uint32_t)address[2] << 8 | (uint32_t)address[3];
  const size_t bucket = mutua_table_address_bucket(table->header.seed, ipv4);
  for (size_t way = 0; way < MUTUA_TABLE_WAYS; ++way) {
    const uint32_t reference = load32(&table->addresses[bucket][way]);
    if (reference == 0 || reference > MUTUA_TABLE_SLOTS) continue;
    if (!copy_slot(table, reference - 1, now, response)) continue;
    if (memcmp(response->address[0], address, 4) != 0) continue;
    give_family(table, family, response);
    return MUTUA_TABLE_ANSWERED;
  }
  return MUTUA_TABLE_UNKNOWN;
}
