#ifndef MUTUA_LOCAL_PROTOCOL_H
#define MUTUA_LOCAL_PROTOCOL_H

/* What libnss_mutua.so.2 and mutua-resolver say to each other: over a UNIX stream socket the module
 * writes one request, the resolver writes one response, both of fixed size. The connection may be
 * used again; the module, which keeps no state in its host process, closes it. Both ends are on one
 * machine, so numbers are in its byte order. Addresses are in network order. Unused octets are 0.
 *
 *  request, 296 octets                           response, 408 octets
 *   0 magic "MTQ2"                                0 magic "MTR1"
 *   4 operation: 1 by name, 2 by address          4 status, one of mutua_local_status
 *   8 family: AF_INET, AF_INET6; AF_UNSPEC        8 family of the addresses
 *     where any will do (by name only)           12 ttl, seconds
 *  12 name length                                16 number of addresses, at most 8
 *  16 address[16], IPv4 in the first four        20 name length
 *  32 identity of the table at hand, or 0        24 address[8][16]
 *  40 name[256]: text without the final dot,    152 name[256]: the canonical name (by name) or
 *     0-terminated                                  the name of the address, 0-terminated
 *
 * Where the identity is not that of the resolver's table of names (name_table.h), the response brings
 * the table's descriptor along (SCM_RIGHTS). */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MUTUA_LOCAL_SOCKET_NAME "resolver.sock"
#ifndef MUTUA_LOCAL_SOCKET_PATH
#define MUTUA_LOCAL_SOCKET_PATH "/run/mutua/" MUTUA_LOCAL_SOCKET_NAME
#endif

#define MUTUA_LOCAL_REQUEST_MAGIC 0x3251544du  /* "MTQ2" read little-endian */
#define MUTUA_LOCAL_RESPONSE_MAGIC 0x3152544du /* "MTR1" */
#define MUTUA_LOCAL_NAME_SIZE 256u
#define MUTUA_LOCAL_ADDRESSES_MAX 8u

enum mutua_local_operation { MUTUA_LOCAL_BY_NAME = 1, MUTUA_LOCAL_BY_ADDRESS = 2 };

enum mutua_local_status {
  MUTUA_LOCAL_FOUND = 0,
  MUTUA_LOCAL_NOT_FOUND = 1, /* not the federation's: ask the next source */
  MUTUA_LOCAL_NO_DATA = 2,   /* the federation's, but nothing of this family */
  MUTUA_LOCAL_TRY_AGAIN = 3  /* the authority cannot be asked at the moment */
};

struct mutua_local_request {
  uint32_t magic;
  uint32_t operation;
  uint32_t family;
  uint32_t name_length;
  uint8_t address[16];
  uint64_t table;
  char name[MUTUA_LOCAL_NAME_SIZE];
};

struct mutua_local_response {
  uint32_t magic;
  uint32_t status;
  uint32_t family;
  uint32_t ttl;
  uint32_t address_count;
  uint32_t name_length;
  uint8_t address[MUTUA_LOCAL_ADDRESSES_MAX][16];
  char name[MUTUA_LOCAL_NAME_SIZE];
};

#ifdef __cplusplus
static_assert(sizeof(struct mutua_local_request) == 296, "the request is drawn above");
static_assert(sizeof(struct mutua_local_response) == 408, "the response is drawn above");
}
#else
_Static_assert(sizeof(struct mutua_local_request) == 296, "the request is drawn above");
_Static_assert(sizeof(struct mutua_local_response) == 408, "the response is drawn above");
#endif

#endif
