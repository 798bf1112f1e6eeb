#pragma once

/* What questions.bpf.c and the server both know. */

#include <linux/types.h>

#define MUTUA_XDP_QUEUES 256u
#define MUTUA_XDP_ENDPOINTS 64u

/* An address that is listened on; IPv4 as ::ffff:a.b.c.d. All in network order. */
struct mutua_xdp_endpoint {
  __u8 address[16];
  __u16 port;
  __u16 unused;
};
