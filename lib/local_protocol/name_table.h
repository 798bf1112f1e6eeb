#ifndef MUTUA_NAME_TABLE_H
#define MUTUA_NAME_TABLE_H

/* The table of names that mutua-resolver shares with every process that has loaded
 * libnss_mutua.so.2. It is a sealed memory file (memfd_create(2): it cannot shrink, and only the
 * resolver's own mapping can write), handed out over the resolver's socket (local_protocol.h) and
 * mapped read-only. Numbers are in the machine's byte order; times are nanoseconds of
 * CLOCK_MONOTONIC.
 *
 *  offset
 *       0  header, 4096 octets
 *            0 magic "MTT1"             32 zone length    36 flags
 *            4 0                        40 the first 12 octets of every synthetic IPv6 address
 *            8 identity, random         64 zone[256]: lower case, without the final dot
 *           16 alive until; 0: retired
 *           24 seed of the hashes
 *    4096  names:     512 buckets of 16 tags, 32 bits each; 0: empty. The tag at (bucket, way) speaks
 *                     of slot 16 x bucket + way.
 *   36864  addresses: 512 buckets of 16 references, 32 bits each: slot + 1; 0: empty
 *   69632  slots:     8192 of 320 octets, as 40 words of 64 bits
 *            word 0 sequence: odd while the slot is being written
 *            word 1 valid until; 0: empty
 *            word 2 synthetic IPv4 address in host order | name length << 32
 *            word 3… the name, 255 octets at most: lower case, without the final dot
 *
 * A name's hash is FNV-1a of 64 bits over the seed and the name: the bucket is hash % 512, the tag is
 * hash >> 32 with its lowest bit set. An address stands in the bucket that its own hash gives. The
 * synthetic IPv6 address of a name is the header's 12 octets followed by its IPv4 address.
 *
 * One writer. A reader looks once: whatever moves under its eyes is a miss, and misses are asked of
 * the socket. A table whose writer says no more that it is alive answers nothing. */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MUTUA_TABLE_MAGIC 0x3154544du /* "MTT1" read little-endian */

enum mutua_table_sizes {
  MUTUA_TABLE_BUCKETS = 512,
  MUTUA_TABLE_WAYS = 16,
  MUTUA_TABLE_SLOTS = MUTUA_TABLE_BUCKETS * MUTUA_TABLE_WAYS,
  MUTUA_TABLE_SLOT_WORDS = 40,
  MUTUA_TABLE_NAME_WORD = 3,
  MUTUA_TABLE_NAME_MAX = 255,
  MUTUA_TABLE_ZONE_SIZE = 256
};

enum mutua_table_flags {
  MUTUA_TABLE_ALL_NAMES = 1, /* names outside the zone may be the federation's, too */
  MUTUA_TABLE_HAS_IPV6 = 2
};

struct mutua_table_header {
  uint32_t magic;
  uint32_t unused;
  uint64_t identity;
  uint64_t alive_until;
  uint64_t seed;
  uint32_t zone_length;
  uint32_t flags;
  uint8_t ipv6_prefix[12];
  uint8_t unused_too[12];
  char zone[MUTUA_TABLE_ZONE_SIZE];
  uint8_t rest[4096 - 320];
};

struct mutua_table {
  struct mutua_table_header header;
  uint32_t names[MUTUA_TABLE_BUCKETS][MUTUA_TABLE_WAYS];
  uint32_t addresses[MUTUA_TABLE_BUCKETS][MUTUA_TABLE_WAYS];
  uint64_t slots[MUTUA_TABLE_SLOTS][MUTUA_TABLE_SLOT_WORDS];
};

static inline uint64_t mutua_table_hash(uint64_t seed, const void* octets, size_t length) {
  const uint8_t* next = (const uint8_t*)octets;
  uint64_t hash = 0xcbf29ce484222325u ^ seed;
  for (size_t i = 0; i < length; ++i) hash = (hash ^ next[i]) * 0x100000001b3u;
  return hash ^ (hash >> 29);
}

static inline uint32_t mutua_table_tag(uint64_t hash) { return (uint32_t)(hash >> 32) | 1u; }

static inline size_t mutua_table_bucket(uint64_t hash) { return hash % MUTUA_TABLE_BUCKETS; }

/* `ipv4` in host order. */
static inline size_t mutua_table_address_bucket(uint64_t seed, uint32_t ipv4) {
  return mutua_table_bucket(mutua_table_hash(seed, &ipv4, sizeof ipv4));
}

#ifdef __cplusplus
static_assert(sizeof(struct mutua_table_header) == 4096, "the header is drawn above");
static_assert(offsetof(struct mutua_table, slots) == 69632, "the table is drawn above");
}
#else
_Static_assert(sizeof(struct mutua_table_header) == 4096, "the header is drawn above");
_Static_assert(offsetof(struct mutua_table, slots) == 69632, "the table is drawn above");
#endif

#endif
