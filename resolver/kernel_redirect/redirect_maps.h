#ifndef MUTUA_REDIRECT_MAPS_H
#define MUTUA_REDIRECT_MAPS_H

/* What the programs in the kernel (redirect.bpf.c) and the resolver tell each other. Ports are in
 * network order, and so are addresses: IPv4 in the first four octets, the rest 0. Times are
 * nanoseconds of CLOCK_MONOTONIC. */

#include <linux/types.h>

#define MUTUA_MOST_PEERS 8u

struct mutua_endpoint {
  __u8 address[16];
  __u16 port;
  __u16 family; /* AF_INET, AF_INET6 */
};

/* Written by the resolver: where connections to a synthetic (address, port) go. Absent, or without a
 * peer that is not held down: to the relay, which listens there. */
struct mutua_service_key {
  __u32 address; /* the synthetic IPv4 address, also of the IPv6 one's twin */
  __u16 port;
  __u16 unused;
};

struct mutua_service {
  __u64 used_at; /* written by the kernel's side: the latest connection's time */
  __u32 peer_count;
  __u32 unused;
  struct {
    struct mutua_endpoint endpoint;
    __u32 syn_timeout_ms;    /* of the first SYN; the second one goes to the relay */
    __u32 overdue_ms;        /* a SYN without an answer for so long makes others avoid the peer */
    __u32 late_ms;           /* an answer after so long does, for the time of a comparison */
  } peers[MUTUA_MOST_PEERS]; /* the best first */
};

/* Written by the kernel's side when a connection ends: what became of a peer. */
struct mutua_peer_state {
  __u64 held_until;
  __u64 asked_at;      /* the oldest SYN since its latest answer; 0: none is under way */
  __u64 suspected_for; /* the `asked_at` that the resolver was told of last as overdue */
  __u32 failures;      /* connections that it refused or did not answer */
  __u32 suspicions;    /* times that its answer was overdue, and others avoided it */
  __u32 late_answers;  /* connections that it took when its answer was overdue */
  __u32 late_rtt_us;   /* of the latest of them */
  __u32 closes;        /* connections that ended after they were established */
  __u32 rtt_us;        /* of the one that ended last */
  __u32 transfers;     /* connections that received enough to tell of the path */
  __u32 unused;
  __u64 octets;            /* that the latest of those received */
  __u64 octets_per_second; /* at its best */
};

/* Of one socket: where its program believes that it is connected to, and where it is. */
struct mutua_origin {
  struct mutua_endpoint synthetic, peer;
  struct mutua_service_key service;
  __u64 asked_at;  /* when the program called connect() */
  __u64 silent_at; /* when a stand-in was asked for: struct mutua_silence; 0: it was not */
  __u32 syn_timeout_ms;
  __u32 overdue_ms;
  __u32 late_ms;
  __u32 handed_over; /* a flag: `peer` did not answer, the relay has taken its place */
};

/* A connection that was handed over to the relay: its two ends, as its packets name them. */
struct mutua_flow {
  struct mutua_endpoint client, peer;
};

/* A connection whose peer has taken it, and then neither said a word nor acknowledged one: what
 * a socket that stands in for the peer has to know. Sequence numbers are of the first octets. */
struct mutua_silence {
  struct mutua_flow flow;
  struct mutua_service_key service;
  __u32 client_sequence, peer_sequence;
  __u32 client_window;   /* octets */
  __u32 peer_time;       /* the timestamp (RFC 7323) of the peer's latest packet */
  __u16 longest_segment; /* of the client's; octets */
  __u8 client_scale, peer_scale;
  __u8 has_scales, has_times, has_selective;
  __u8 unused;
};

/* The relay's listening sockets. */
enum mutua_gate {
  MUTUA_GATE_IPV4, /* for synthetic addresses */
  MUTUA_GATE_IPV6,
  MUTUA_GATE_HANDED_IPV4, /* for connections that were handed over */
  MUTUA_GATE_HANDED_IPV6,
  MUTUA_GATES,
};

#endif
