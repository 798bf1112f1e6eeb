/* libnss_mutua.so.2: hands host lookups of glibc to mutua-resolver (see nss(5), nsswitch.conf(5)).
 *
 * A name that the resolver has published is answered from its table in shared memory, without a
 * system call; so is a name that is not the federation's business. Everything else is asked over the
 * resolver's socket, whose answer also brings the table, when this process has not got it yet or has
 * a dead daemon's.
 *
 * This code runs inside strangers' processes. It therefore uses libc alone, keeps nothing between
 * calls but the mapped table (no descriptor; shared with forked children), starts nothing, raises no
 * signal, and bounds every wait: a daemon that is away costs one connect(), a daemon that hangs costs
 * kDeadline.
 *
 * What the caller sees:
 *   the daemon is away, or speaks nonsense    NSS_STATUS_UNAVAIL   NO_RECOVERY     next source
 *   the authority cannot be asked             NSS_STATUS_TRYAGAIN  TRY_AGAIN       next source
 *   not a name of the federation              NSS_STATUS_NOTFOUND  HOST_NOT_FOUND  next source
 *   AF_INET6 asked where there is no pool6    NSS_STATUS_NOTFOUND  NO_DATA         next source
 *   the caller's buffer is too small          NSS_STATUS_TRYAGAIN  NETDB_INTERNAL, errno ERANGE
 * Names have one synthetic IPv4 address, and where the resolver has a pool6 an IPv6 one, which only
 * an explicit AF_INET6 lookup gets. No mapped address is given, because a caller that insists on IPv6
 * must not be handed IPv4 in disguise; getaddrinfo(AI_V4MAPPED) and AF_UNSPEC callers reach the IPv4
 * address by themselves. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <nss.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "local_protocol/local_protocol.h"
#include "nss_module/table_reader.h"

#define EXPORT __attribute__((visibility("default")))

enum {
  kDeadlineMilliseconds = 5000, /* a lookup that the daemon has to ask the authority for */
  kBusyRetries = 50             /* connect() while the daemon's backlog is full, 1 ms apart */
};

/* ---- the table in shared memory -------------------------------------------------------------- */

/* Null, or where this process has mapped a table. Once set it changes no more: a later daemon's table
 * is mapped over the earlier one, because other threads may be reading there. */
static const struct mutua_table* mapped_table;
/* The process that is mapping at the moment, or 0. A child of fork() does not wait for the thread
 * that it has not inherited. */
static pid_t mapping_process;

static uint64_t coarse_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static const struct mutua_table* current_table(void) {
  return __atomic_load_n(&mapped_table, __ATOMIC_ACQUIRE);
}

static uint64_t identity_of(const struct mutua_table* table) {
  return table == NULL ? 0 : table->header.identity;
}

/* True when no one, and above all not its sender, can take octets away below a mapping. */
static bool is_sealed_table(int fd) {
  struct stat status;
  const int seals = fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & F_SEAL_SHRINK) != 0 && fstat(fd, &status) == 0 &&
         status.st_size >= (off_t)sizeof(struct mutua_table);
}

static void map_over(void* place, int fd) {
  const size_t size = sizeof(struct mutua_table);
  void* table = mmap(place, size, PROT_READ, MAP_SHARED | (place == NULL ? 0 : MAP_FIXED), fd, 0);
  /* A failure may have left a hole where others read: zeros there are a table without a writer. */
  if (table == MAP_FAILED && place != NULL)
    table = mmap(place, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  __atomic_store_n(&mapped_table, table == MAP_FAILED ? NULL : table, __ATOMIC_RELEASE);
}

/* Maps the table that came with a response, unless another thread is at it. Closes `fd`. */
static void adopt_table(int fd) {
  const pid_t self = getpid();
  pid_t holder = __atomic_load_n(&mapping_process, __ATOMIC_RELAXED);
  if (holder != self && is_sealed_table(fd) &&
      __atomic_compare_exchange_n(&mapping_process, &holder, self, false, __ATOMIC_ACQUIRE,
                                  __ATOMIC_RELAXED)) {
    map_over((void*)current_table(), fd);
    __atomic_store_n(&mapping_process, 0, __ATOMIC_RELEASE);
  }
  close(fd);
}

/* ---- the conversation ------------------------------------------------------------------------ */

static int64_t now_milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for `events` until `deadline`; false on time-out or failure, with errno set. */
static bool wait_for(int fd, short events, int64_t deadline) {
  for (;;) {
    const int64_t left = deadline - now_milliseconds();
    if (left <= 0) {
      errno = ETIMEDOUT;
      return false;
    }
    struct pollfd entry = {.fd = fd, .events = events, .revents = 0};
    const int ready = poll(&entry, 1, (int)left);
    if (ready > 0) return true; /* errors show in the following send() or recv() */
    if (ready < 0 && errno != EINTR) return false;
  }
}

static int connect_to_daemon(void) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = MUTUA_LOCAL_SOCKET_PATH};
  for (int attempt = 0; connect(fd, (const struct sockaddr*)&address, sizeof address) != 0;
       ++attempt) {
    const int problem = errno;
    const bool busy = problem == EAGAIN || problem == EINTR;
    if (!busy || attempt == kBusyRetries) {
      close(fd);
      errno = problem;
      return -1;
    }
    (void)poll(NULL, 0, 1);
  }
  return fd;
}

static bool send_all(int fd, const void* bytes, size_t size, int64_t deadline) {
  const char* next = bytes;
  while (size > 0) {
    const ssize_t sent = send(fd, next, size, MSG_NOSIGNAL);
    if (sent > 0) {
      next += sent;
      size -= (size_t)sent;
    } else if (sent < 0 && errno == EAGAIN) {
      if (!wait_for(fd, POLLOUT, deadline)) return false;
    } else if (sent < 0 && errno != EINTR) {
      return false;
    }
  }
  return true;
}

/* recv(), and the descriptor that came along, if any, in `*passed`. */
static ssize_t receive_some(int fd, void* bytes, size_t size, int* passed) {
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec part = {.iov_base = bytes, .iov_len = size};
  /* CMSG_LEN, not CMSG_SPACE: the padding would have room for a second descriptor. */
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = CMSG_LEN(sizeof(int))};
  const ssize_t received = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  const struct cmsghdr* header = received > 0 ? CMSG_FIRSTHDR(&message) : NULL;
  if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len == CMSG_LEN(sizeof(int))) {
    if (*passed >= 0) close(*passed);
    memcpy(passed, CMSG_DATA(header), sizeof(int));
  }
  return received;
}

static bool receive_all(int fd, void* bytes, size_t size, int64_t deadline, int* passed) {
  char* next = bytes;
  while (size > 0) {
    const ssize_t received = receive_some(fd, next, size, passed);
    if (received > 0) {
      next += received;
      size -= (size_t)received;
    } else if (received == 0) {
      errno = ECONNRESET;
      return false;
    } else if (errno == EAGAIN) {
      if (!wait_for(fd, POLLIN, deadline)) return false;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

/* True when every field of the response is within its bounds. */
static bool is_sane(const struct mutua_local_response* response) {
  if (response->magic != MUTUA_LOCAL_RESPONSE_MAGIC) return false;
  if (response->status != MUTUA_LOCAL_FOUND) return true;
  return (response->family == AF_INET || response->family == AF_INET6) &&
         response->address_count >= 1 && response->address_count <= MUTUA_LOCAL_ADDRESSES_MAX &&
         response->name_length >= 1 && response->name_length < MUTUA_LOCAL_NAME_SIZE &&
         response->name[response->name_length] == '\0' &&
         strlen(response->name) == response->name_length;
}

static enum nss_status status_of(const struct mutua_local_response* response, int* errnop,
                                 int* h_errnop) {
  switch (response->status) {
    case MUTUA_LOCAL_FOUND:
      return NSS_STATUS_SUCCESS;
    case MUTUA_LOCAL_TRY_AGAIN:
      *errnop = EAGAIN;
      *h_errnop = TRY_AGAIN;
      return NSS_STATUS_TRYAGAIN;
    case MUTUA_LOCAL_NO_DATA:
      *errnop = ENOENT;
      *h_errnop = NO_DATA;
      return NSS_STATUS_NOTFOUND;
    default:
      *errnop = ENOENT;
      *h_errnop = HOST_NOT_FOUND;
      return NSS_STATUS_NOTFOUND;
  }
}

/* One lookup. On anything but NSS_STATUS_SUCCESS the two error numbers are set. */
static enum nss_status ask_daemon(const struct mutua_local_request* request,
                                  struct mutua_local_response* response, int* errnop,
                                  int* h_errnop) {
  const int callers_errno = errno;
  const int64_t deadline = now_milliseconds() + kDeadlineMilliseconds;
  const int fd = connect_to_daemon();
  int table = -1;
  const bool answered = fd >= 0 && send_all(fd, request, sizeof *request, deadline) &&
                        receive_all(fd, response, sizeof *response, deadline, &table);
  const int problem = answered ? EPROTO : errno;
  if (fd >= 0) close(fd);
  if (table >= 0) adopt_table(table);
  errno = callers_errno;
  if (!answered || !is_sane(response)) {
    *errnop = problem;
    *h_errnop = NO_RECOVERY;
    return NSS_STATUS_UNAVAIL;
  }
  return status_of(response, errnop, h_errnop);
}

static enum nss_status ask_by_name(const char* name, int family,
                                   struct mutua_local_response* response, int* errnop,
                                   int* h_errnop) {
  size_t length = strnlen(name, MUTUA_LOCAL_NAME_SIZE);
  if (length > 0 && name[length - 1] == '.') --length;
  if (length == 0 || length >= MUTUA_LOCAL_NAME_SIZE) {
    *errnop = ENOENT;
    *h_errnop = HOST_NOT_FOUND;
    return NSS_STATUS_NOTFOUND;
  }
  const struct mutua_table* table = current_table();
  if (table != NULL && mutua_table_by_name(table, name, length, family, coarse_now(), response) ==
                           MUTUA_TABLE_ANSWERED) {
    return status_of(response, errnop, h_errnop);
  }
  struct mutua_local_request request = {.magic = MUTUA_LOCAL_REQUEST_MAGIC,
                                        .operation = MUTUA_LOCAL_BY_NAME,
                                        .family = (uint32_t)family,
                                        .name_length = (uint32_t)length,
                                        .table = identity_of(table)};
  memcpy(request.name, name, length);
  return ask_daemon(&request, response, errnop, h_errnop);
}

/* ---- the caller's buffer --------------------------------------------------------------------- */

/* Hands out aligned pieces of the caller's buffer; every pointer of the result lies in it. */
struct arena {
  char* next;
  size_t left;
};

static void* take(struct arena* arena, size_t size, size_t alignment) {
  const size_t padding = (size_t)(-(uintptr_t)arena->next & (alignment - 1));
  if (padding > arena->left || size > arena->left - padding) return NULL;
  char* piece = arena->next + padding;
  arena->next = piece + size;
  arena->left -= padding + size;
  return piece;
}

static enum nss_status buffer_too_small(int* errnop, int* h_errnop) {
  *errnop = ERANGE;
  *h_errnop = NETDB_INTERNAL;
  return NSS_STATUS_TRYAGAIN;
}

static char* take_name(struct arena* arena, const struct mutua_local_response* response) {
  char* name = take(arena, response->name_length + 1u, 1);
  if (name != NULL) memcpy(name, response->name, response->name_length + 1u);
  return name;
}

static size_t address_size(uint32_t family) { return family == AF_INET ? 4 : 16; }

static enum nss_status fill_hostent(const struct mutua_local_response* response,
                                    struct hostent* result, char* buffer, size_t buffer_size,
                                    int* errnop, int* h_errnop, char** canonical) {
  struct arena arena = {buffer, buffer_size};
  const size_t size = address_size(response->family);
  /* h_addr_list with its NULL; h_aliases is one more NULL. */
  char** list = take(&arena, (response->address_count + 2u) * sizeof(char*), _Alignof(char*));
  char* addresses = take(&arena, response->address_count * size, _Alignof(uint32_t));
  if (list == NULL || addresses == NULL) return buffer_too_small(errnop, h_errnop);
  char* name = take_name(&arena, response);
  if (name == NULL) return buffer_too_small(errnop, h_errnop);
  for (uint32_t i = 0; i < response->address_count; ++i) {
    list[i] = memcpy(addresses + i * size, response->address[i], size);
  }
  list[response->address_count] = NULL;
  list[response->address_count + 1u] = NULL;
  result->h_name = name;
  result->h_aliases = &list[response->address_count + 1u];
  result->h_addrtype = (int)response->family;
  result->h_length = (int)size;
  result->h_addr_list = list;
  if (canonical != NULL) *canonical = name;
  return NSS_STATUS_SUCCESS;
}

/* ---- the entry points that glibc calls ------------------------------------------------------- */

EXPORT enum nss_status _nss_mutua_gethostbyname4_r(const char* name, struct gaih_addrtuple** tuples,
                                                   char* buffer, size_t buffer_size, int* errnop,
                                                   int* h_errnop, int32_t* ttl) {
  struct mutua_local_response response;
  const enum nss_status status = ask_by_name(name, AF_UNSPEC, &response, errnop, h_errnop);
  if (status != NSS_STATUS_SUCCESS) return status;
  struct arena arena = {buffer, buffer_size};
  struct gaih_addrtuple* list =
      take(&arena, response.address_count * sizeof *list, _Alignof(struct gaih_addrtuple));
  if (list == NULL) return buffer_too_small(errnop, h_errnop);
  char* canonical = take_name(&arena, &response);
  if (canonical == NULL) return buffer_too_small(errnop, h_errnop);
  for (uint32_t i = 0; i < response.address_count; ++i) {
    memset(&list[i], 0, sizeof list[i]);
    list[i].next = i + 1 < response.address_count ? &list[i + 1] : NULL;
    list[i].name = canonical;
    list[i].family = (int)response.family;
    memcpy(list[i].addr, response.address[i], address_size(response.family));
  }
  /* nscd passes a tuple of its own that is to be filled first; others pass NULL. */
  if (*tuples != NULL) {
    **tuples = list[0];
  } else {
    *tuples = list;
  }
  if (ttl != NULL) *ttl = (int32_t)response.ttl;
  return NSS_STATUS_SUCCESS;
}

EXPORT enum nss_status _nss_mutua_gethostbyname3_r(const char* name, int family,
                                                   struct hostent* result, char* buffer,
                                                   size_t buffer_size, int* errnop, int* h_errnop,
                                                   int32_t* ttl, char** canonical) {
  if (family != AF_INET && family != AF_INET6) {
    *errnop = EAFNOSUPPORT;
    *h_errnop = NO_DATA;
    return NSS_STATUS_UNAVAIL;
  }
  struct mutua_local_response response;
  const enum nss_status status = ask_by_name(name, family, &response, errnop, h_errnop);
  if (status != NSS_STATUS_SUCCESS) return status;
  if (ttl != NULL) *ttl = (int32_t)response.ttl;
  return fill_hostent(&response, result, buffer, buffer_size, errnop, h_errnop, canonical);
}

EXPORT enum nss_status _nss_mutua_gethostbyname2_r(const char* name, int family,
                                                   struct hostent* result, char* buffer,
                                                   size_t buffer_size, int* errnop, int* h_errnop) {
  return _nss_mutua_gethostbyname3_r(name, family, result, buffer, buffer_size, errnop, h_errnop,
                                     NULL, NULL);
}

EXPORT enum nss_status _nss_mutua_gethostbyname_r(const char* name, struct hostent* result,
                                                  char* buffer, size_t buffer_size, int* errnop,
                                                  int* h_errnop) {
  return _nss_mutua_gethostbyname3_r(name, AF_INET, result, buffer, buffer_size, errnop, h_errnop,
                                     NULL, NULL);
}

EXPORT enum nss_status _nss_mutua_gethostbyaddr2_r(const void* address, socklen_t length,
                                                   int family, struct hostent* result, char* buffer,
                                                   size_t buffer_size, int* errnop, int* h_errnop,
                                                   int32_t* ttl) {
  if ((family != AF_INET && family != AF_INET6) || length != address_size((uint32_t)family)) {
    *errnop = EAFNOSUPPORT;
    *h_errnop = NO_DATA;
    return NSS_STATUS_UNAVAIL;
  }
  struct mutua_local_response response;
  const struct mutua_table* table = current_table();
  enum nss_status status;
  if (table != NULL && mutua_table_by_address(table, address, family, coarse_now(), &response) ==
                           MUTUA_TABLE_ANSWERED) {
    status = status_of(&response, errnop, h_errnop);
  } else {
    struct mutua_local_request request = {.magic = MUTUA_LOCAL_REQUEST_MAGIC,
                                          .operation = MUTUA_LOCAL_BY_ADDRESS,
                                          .family = (uint32_t)family,
                                          .table = identity_of(table)};
    memcpy(request.address, address, length);
    status = ask_daemon(&request, &response, errnop, h_errnop);
  }
  if (status != NSS_STATUS_SUCCESS) return status;
  if (ttl != NULL) *ttl = (int32_t)response.ttl;
  return fill_hostent(&response, result, buffer, buffer_size, errnop, h_errnop, NULL);
}

EXPORT enum nss_status _nss_mutua_gethostbyaddr_r(const void* address, socklen_t length, int family,
                                                  struct hostent* result, char* buffer,
                                                  size_t buffer_size, int* errnop, int* h_errnop) {
  return _nss_mutua_gethostbyaddr2_r(address, length, family, result, buffer, buffer_size, errnop,
                                     h_errnop, NULL);
}
