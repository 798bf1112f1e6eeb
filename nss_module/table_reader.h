#ifndef MUTUA_TABLE_READER_H
#define MUTUA_TABLE_READER_H

#include "local_protocol/local_protocol.h"
#include "local_protocol/name_table.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reads the shared table (local_protocol/name_table.h). The table is not trusted: whatever it holds,
 * and whoever writes to it meanwhile, these read within it, return after one look at one bucket, and
 * give names that are bounded and free of zero octets. `now` is CLOCK_MONOTONIC in nanoseconds. */

enum mutua_table_outcome {
  MUTUA_TABLE_ANSWERED, /* `response` holds it: status, and where found the rest */
  MUTUA_TABLE_UNKNOWN,  /* ask the daemon */
  MUTUA_TABLE_DEAD      /* its writer has gone: ask, and let the daemon give another table */
};

/* `name` without the final dot, 1 to 255 octets. `family` as in a request. */
enum mutua_table_outcome mutua_table_by_name(const struct mutua_table* table, const char* name,
                                             size_t length, int family, uint64_t now,
                                             struct mutua_local_response* response);

/* `address` of AF_INET or AF_INET6, in network order. */
enum mutua_table_outcome mutua_table_by_address(const struct mutua_table* table,
                                                const uint8_t* address, int family, uint64_t now,
                                                struct mutua_local_response* response);

#ifdef __cplusplus
}
#endif

#endif
