/* libnss_bare.so.2: the floor. One name and its address in a mapped file, compared and copied; no
 * time, no locks, no checks. What remains of a lookup's time is glibc's. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <nss.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct entry {
  char name[256];
  uint8_t address[4];
};

static const struct entry* mapped;

static const struct entry* map(void) {
  const int fd = open("/run/mutua/bare", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return NULL;
  void* found = mmap(NULL, sizeof(struct entry), PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  return mapped = found == MAP_FAILED ? NULL : found;
}

enum nss_status _nss_bare_gethostbyname4_r(const char* name, struct gaih_addrtuple** tuples,
                                           char* buffer, size_t buffer_size, int* errnop,
                                           int* h_errnop, int32_t* ttl);

enum nss_status _nss_bare_gethostbyname4_r(const char* name, struct gaih_addrtuple** tuples,
                                           char* buffer, size_t buffer_size, int* errnop,
                                           int* h_errnop, int32_t* ttl) {
  const struct entry* entry = mapped != NULL ? mapped : map();
  if (entry == NULL || strcmp(entry->name, name) != 0) {
    *errnop = ENOENT;
    *h_errnop = HOST_NOT_FOUND;
    return NSS_STATUS_NOTFOUND;
  }
  const size_t padding = (size_t)(-(uintptr_t)buffer & 7);
  const size_t length = strlen(name) + 1;
  if (padding + sizeof(struct gaih_addrtuple) + length > buffer_size) {
    *errnop = ERANGE;
    *h_errnop = NETDB_INTERNAL;
    return NSS_STATUS_TRYAGAIN;
  }
  struct gaih_addrtuple* tuple = (struct gaih_addrtuple*)(void*)(buffer + padding);
  memset(tuple, 0, sizeof *tuple);
  tuple->name = memcpy((char*)(tuple + 1), name, length);
  tuple->family = AF_INET;
  memcpy(tuple->addr, entry->address, 4);
  if (*tuples != NULL) {
    **tuples = *tuple;
  } else {
    *tuples = tuple;
  }
  if (ttl != NULL) *ttl = 60;
  return NSS_STATUS_SUCCESS;
}
