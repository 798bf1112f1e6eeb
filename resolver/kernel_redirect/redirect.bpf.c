/* Connections to synthetic addresses are turned to peers while connect(2) begins: the program talks
 * to its peer directly, and the kernel copies nothing twice.
 *
 *   connect4/6      (synthetic address, port) -> the first peer of its list that is not held down
 *   getpeername4/6  the peer -> the synthetic address, as the program knows it
 *   sk_lookup       what is not led to a peer comes to the relay, which needs no socket on the address,
 *                   whoever has the port on all addresses; of this network namespace, not of a cgroup
 *   sockops         a short time-out for the first SYN. When it passes, the connection is handed over to
 *                   the relay, unseen by its program: the socket is bound to the loopback interface, so
 *                   that its second SYN, still for the peer's address, comes to this machine, where
 *                   sk_lookup has it answered by the relay in the peer's name. The peer is held down for
 *                   everybody at once. A connection that its peer took, and of which it then acknowledges
 *                   nothing, is handed over alike: when its first octets are repeated, the resolver makes a
 *                   socket that stands in for the peer; when they are repeated again, it hears them. The
 *                   round-trip time and the throughput when a connection ends
 *   tc              on the interfaces that peers are reached by: a reset that answers such a SYN is made
 *                   one that TCP does not believe, which makes it repeat the SYN at once (two ticks):
 *                   tcp_rcv_synsent_state_process(), "Previous FIN/ACK or RST/ACK might be ignored".
 *                   ICMP that would end the connection is dropped, and so is the reset of a connection of which the
 *                   peer has acknowledged nothing of what was said. No other packet is changed
 *
 * Attached to a cgroup, hence the programs of other network namespaces come by too: the resolver's
 * relay does not reach them, so they are left alone. */

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "redirect_maps.h"

#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define IPPROTO_TCP 6
#define IPPROTO_ICMP 1
#define IPPROTO_ICMPV6 58
#define ICMP_DEST_UNREACH 3
#define ICMP_FRAG_NEEDED 4
#define ICMPV6_DEST_UNREACH 1
#define TCP_SYNCNT 7
#define TCP_THIN_LINEAR_TIMEOUTS 16
#define SOL_SOCKET 1
#define SO_BINDTOIFINDEX 62
#define LOOPBACK_INTERFACE 1 /* in every network namespace */
#define SUSPICION_NANOSECONDS 1000000000ull
#define SMALLEST_TRANSFER 32768           /* octets: shorter ones say nothing of the path */
#define COMPARED_NANOSECONDS 250000000ull /* the resolver compares five times a second */
#define UNHEARD_NANOSECONDS \
  1000000000ull /* a reset is kept from a connection that waits for its stand-in */
#define HOLD_NANOSECONDS 1000000000ull /* until the resolver has heard of it and decides */

/* Set before the programs are loaded. */
const volatile __u64 netns_cookie;
const volatile __u32 pool_network, pool_mask; /* network order */
const volatile __u32 has_ipv6;                /* a flag: the C++ side knows no _Bool */
const volatile __u32 ipv6_prefix[3];
const volatile __u32 ticks_per_second; /* of the kernel's timers */
const volatile __u32 hands_over_ipv6;  /* a flag: the loopback interface takes any IPv6 address */

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 8192);
  __type(key, struct mutua_service_key);
  __type(value, struct mutua_service);
} services SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 8192);
  __type(key, struct mutua_endpoint);
  __type(value, struct mutua_peer_state);
} peers SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct mutua_origin);
} origins SEC(".maps");

/* Wakes the resolver when a peer has failed or was late; what it says stands in `peers`. */
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} failures SEC(".maps");

/* Asks the resolver for sockets that stand in for silent peers. */
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 32768);
} silences SEC(".maps");

/* Connections that the relay takes over: for which synthetic (address, port). Put in when a SYN is
 * handed over; of a silent peer's connection, when there is a socket that stands in for it. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 8192);
  __type(key, struct mutua_flow);
  __type(value, struct mutua_service_key);
} handed_over SEC(".maps");

/* The relay's listening sockets: enum mutua_gate. */
struct {
  __uint(type, BPF_MAP_TYPE_SOCKMAP);
  __uint(max_entries, MUTUA_GATES);
  __type(key, __u32);
  __type(value, __u64);
} gates SEC(".maps");

/* The synthetic (address, port)s that the relay serves. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 8192);
  __type(key, struct mutua_service_key);
  __type(value, __u8);
} places SEC(".maps");

/* The fields of the kernel's that no stable interface tells; found by name at load time. */
struct sock {
  int sk_err;
} __attribute__((preserve_access_index));
struct tcp_options_received {
  unsigned int ts_recent;
  unsigned short tstamp_ok : 1, wscale_ok : 1, sack_ok : 3, snd_wscale : 4, rcv_wscale : 4;
  unsigned short mss_clamp;
} __attribute__((preserve_access_index));
struct tcp_sock {
  unsigned int srtt_us;
  unsigned int rcv_nxt, snd_una, snd_nxt, rcv_wnd;
  unsigned long long bytes_received;
  unsigned long long bytes_acked; /* of our own, with the SYN */
  struct tcp_options_received rx_opt;
  struct {
    unsigned int rtt_us;
  } rcv_rtt_est; /* the round trip as the receiver of octets sees it, with what waits in queues */
  struct {
    unsigned int space;
  } rcvq_space; /* the most octets that were received in one of those */
} __attribute__((preserve_access_index));

/* The kernel takes reads of a context in words only, each as it is used; the compiler would like to join
 * two of them, or to keep one in a register and widen it later. */
#define WORD(field) (*(const volatile __u32*)&(field))

static __always_inline struct mutua_peer_state* state_of(const struct mutua_endpoint* peer) {
  struct mutua_peer_state* state = bpf_map_lookup_elem(&peers, peer);
  if (state != NULL) return state;
  const struct mutua_peer_state fresh = {};
  bpf_map_update_elem(&peers, peer, &fresh, BPF_NOEXIST);
  return bpf_map_lookup_elem(&peers, peer);
}

/* A SYN is under way to the peer, and its answer overdue. What nobody has seen the end of is forgotten:
 * its program may have given up by itself. */
static __always_inline bool is_suspect(const struct mutua_peer_state* state, __u64 now,
                                       __u32 overdue_ms) {
  const __u64 asked_at = state->asked_at;
  return asked_at != 0 && now - asked_at > overdue_ms * 1000000ull &&
         now - asked_at < SUSPICION_NANOSECONDS;
}

static __always_inline void wake_resolver(void) {
  const __u8 one = 1; /* a full buffer has woken it already */
  bpf_ringbuf_output(&failures, (void*)&one, sizeof one, 0);
}

/* The relay shall avoid a suspect, too. */
static __always_inline void note_suspicion(struct mutua_peer_state* state) {
  if (state->suspected_for == state->asked_at) return;
  state->suspected_for = state->asked_at;
  __sync_fetch_and_add(&state->suspicions, 1);
  wake_resolver();
}

/* The peer for a connection to (ipv4, port) whose socket takes addresses of `family`; remembered with
 * the socket. Null: the relay's business. */
static __always_inline struct mutua_origin* choose(struct bpf_sock_addr* ctx, __u32 ipv4,
                                                   __u16 family) {
  struct mutua_service_key key = {.address = ipv4, .port = (__u16)ctx->user_port};
  struct mutua_service* service = bpf_map_lookup_elem(&services, &key);
  if (service == NULL) return NULL;
  const __u64 now = bpf_ktime_get_ns();
  for (__u32 i = 0; i < MUTUA_MOST_PEERS; ++i) {
    if (i >= service->peer_count) return NULL;
    if (service->peers[i].endpoint.family != family) continue;
    struct mutua_peer_state* state = state_of(&service->peers[i].endpoint);
    if (state == NULL) return NULL;
    if (now < state->held_until) continue;
    if (is_suspect(state, now, service->peers[i].overdue_ms)) {
      note_suspicion(state);
      continue;
    }
    struct mutua_origin* origin =
        bpf_sk_storage_get(&origins, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
    if (origin == NULL) return NULL;
    service->used_at = now;
    if (state->asked_at == 0 || now - state->asked_at >= SUSPICION_NANOSECONDS)
      state->asked_at = now;
    origin->peer = service->peers[i].endpoint;
    origin->service = key;
    origin->asked_at = now;
    origin->syn_timeout_ms = service->peers[i].syn_timeout_ms;
    origin->overdue_ms = service->peers[i].overdue_ms;
    origin->late_ms = service->peers[i].late_ms;
    origin->handed_over = 0;
    origin->silent_at = 0;
    origin->synthetic.port = key.port;
    return origin;
  }
  return NULL;
}

static __always_inline bool is_ours(struct bpf_sock_addr* ctx) {
  return ctx->type == SOCK_STREAM && bpf_get_netns_cookie(ctx) == netns_cookie;
}

/* A socket may be connected again, to somewhere else. */
static __always_inline void forget_origin(struct bpf_sock_addr* ctx) {
  if (bpf_sk_storage_get(&origins, ctx->sk, NULL, 0) != NULL)
    bpf_sk_storage_delete(&origins, ctx->sk);
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr* ctx) {
  const __u32 ipv4 = ctx->user_ip4;
  if (!is_ours(ctx)) return 1;
  if ((ipv4 & pool_mask) != pool_network) {
    forget_origin(ctx);
    return 1;
  }
  struct mutua_origin* origin = choose(ctx, ipv4, AF_INET);
  if (origin == NULL) {
    forget_origin(ctx);
    return 1;
  }
  origin->synthetic.family = AF_INET;
  __builtin_memcpy(origin->synthetic.address, &ipv4, 4);
  __u32 peer;
  __builtin_memcpy(&peer, origin->peer.address, 4);
  ctx->user_ip4 = peer;
  ctx->user_port = origin->peer.port;
  return 1;
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr* ctx) {
  const __u32 address[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]};
  if (!is_ours(ctx)) return 1;
  const bool is_mapped = address[0] == 0 && address[1] == 0 && address[2] == bpf_htonl(0xffff);
  const bool is_synthetic = has_ipv6 && address[0] == ipv6_prefix[0] &&
                            address[1] == ipv6_prefix[1] && address[2] == ipv6_prefix[2];
  struct mutua_origin* origin = NULL;
  if ((is_mapped || is_synthetic) && (address[3] & pool_mask) == pool_network)
    origin = choose(ctx, address[3], is_mapped ? AF_INET : AF_INET6);
  if (origin == NULL) {
    forget_origin(ctx);
    return 1;
  }
  origin->synthetic.family = AF_INET6;
  __builtin_memcpy(origin->synthetic.address, address, 16);
  __u32 peer[4];
  __builtin_memcpy(peer, origin->peer.address, 16);
  if (is_mapped) {
    ctx->user_ip6[3] = peer[0];
  } else {
    ctx->user_ip6[0] = peer[0];
    ctx->user_ip6[1] = peer[1];
    ctx->user_ip6[2] = peer[2];
    ctx->user_ip6[3] = peer[3];
  }
  ctx->user_port = origin->peer.port;
  return 1;
}

SEC("cgroup/getpeername4")
int getpeername4(struct bpf_sock_addr* ctx) {
  const struct mutua_origin* origin = bpf_sk_storage_get(&origins, ctx->sk, NULL, 0);
  if (origin == NULL || origin->synthetic.family != AF_INET) return 1;
  __u32 address;
  __builtin_memcpy(&address, origin->synthetic.address, 4);
  ctx->user_ip4 = address;
  ctx->user_port = origin->synthetic.port;
  return 1;
}

SEC("cgroup/getpeername6")
int getpeername6(struct bpf_sock_addr* ctx) {
  const struct mutua_origin* origin = bpf_sk_storage_get(&origins, ctx->sk, NULL, 0);
  if (origin == NULL || origin->synthetic.family != AF_INET6) return 1;
  __u32 address[4];
  __builtin_memcpy(address, origin->synthetic.address, 16);
  ctx->user_ip6[0] = address[0];
  ctx->user_ip6[1] = address[1];
  ctx->user_ip6[2] = address[2];
  ctx->user_ip6[3] = address[3];
  ctx->user_port = origin->synthetic.port;
  return 1;
}

/* Nobody else is led to this peer until the resolver, which this wakes, has decided. */
static __always_inline void note_failure(const struct mutua_origin* origin) {
  struct mutua_peer_state* state = state_of(&origin->peer);
  if (state == NULL) return;
  state->held_until = bpf_ktime_get_ns() + HOLD_NANOSECONDS;
  state->asked_at = 0;
  __sync_fetch_and_add(&state->failures, 1);
  wake_resolver();
}

/* The peer has taken a connection. If that was so late that others are better off elsewhere, they are
 * led there until the resolver has compared it anew. */
static __always_inline void note_answer(const struct mutua_origin* origin) {
  struct mutua_peer_state* state = bpf_map_lookup_elem(&peers, &origin->peer);
  if (state == NULL) return;
  const __u64 now = bpf_ktime_get_ns(), taken = now - origin->asked_at;
  if (state->asked_at != 0) state->asked_at = 0;
  if (taken > origin->overdue_ms * 1000000ull) {
    if (taken > origin->late_ms * 1000000ull) state->held_until = now + COMPARED_NANOSECONDS;
    state->late_rtt_us = (__u32)(taken / 1000);
    __sync_fetch_and_add(&state->late_answers, 1);
    wake_resolver();
  } else if (state->held_until != 0) {
    state->held_until = 0;
  }
}

/* How much the connection received, and how fast at its best: the kernel's own measure, by which it
 * sizes its buffers, counts no idle time. */
static __always_inline void note_transfer(const struct mutua_origin* origin,
                                          const struct tcp_sock* tcp) {
  const __u64 octets = tcp->bytes_received, rtt = tcp->rcv_rtt_est.rtt_us >> 3;
  if (octets < SMALLEST_TRANSFER || rtt == 0) return;
  struct mutua_peer_state* state = state_of(&origin->peer);
  if (state == NULL) return;
  state->octets = octets;
  state->octets_per_second = tcp->rcvq_space.space * 1000000ull / rtt;
  __sync_fetch_and_add(&state->transfers, 1);
}

/* A connection has come from one state of TCP to another. */
static __always_inline void note_step(struct bpf_sock_ops* ctx, struct bpf_sock* socket,
                                      const struct mutua_origin* origin) {
  if (origin->handed_over) return; /* nothing that the peer did */
  const __u32 old_state = ctx->args[0], new_state = ctx->args[1];
  const bool never_began = old_state == BPF_TCP_SYN_SENT && new_state == BPF_TCP_CLOSE;
  const bool begins = old_state == BPF_TCP_SYN_SENT && new_state == BPF_TCP_ESTABLISHED;
  const bool ends = old_state == BPF_TCP_ESTABLISHED;
  const bool has_ended = new_state == BPF_TCP_CLOSE && !never_began; /* its program has read all */
  if (begins) return note_answer(origin);
  if (!never_began && !ends && !has_ended) return;
  struct tcp_sock* tcp = bpf_skc_to_tcp_sock(socket);
  if (tcp == NULL) return;
  if (never_began) {
    /* No error: the program has given up by itself, which says nothing about the peer. */
    if (((struct sock*)tcp)->sk_err != 0) note_failure(origin);
    return;
  }
  if (has_ended) note_transfer(origin, tcp);
  if (!ends) return;
  struct mutua_peer_state* state = state_of(&origin->peer);
  if (state == NULL) return;
  state->rtt_us = tcp->srtt_us >> 3;
  __sync_fetch_and_add(&state->closes, 1);
}

/* A socket that its program has bound to an interface would not reach the relay. */
static __always_inline bool may_be_handed_over(const struct mutua_origin* origin,
                                               const struct bpf_sock* socket) {
  return !origin->handed_over && socket->bound_dev_if == 0 &&
         (origin->peer.family == AF_INET || hands_over_ipv6);
}

static __always_inline struct mutua_flow flow_of(struct bpf_sock_ops* ctx,
                                                 const struct mutua_origin* origin) {
  struct mutua_flow flow = {.peer = origin->peer};
  flow.client.family = origin->peer.family;
  flow.client.port = bpf_htons((__u16)ctx->local_port);
  if (origin->peer.family == AF_INET) {
    const __u32 local = ctx->local_ip4;
    __builtin_memcpy(flow.client.address, &local, 4);
  } else {
    const __u32 local[4] = {WORD(ctx->local_ip6[0]), WORD(ctx->local_ip6[1]),
                            WORD(ctx->local_ip6[2]), WORD(ctx->local_ip6[3])};
    __builtin_memcpy(flow.client.address, local, 16);
  }
  return flow;
}

static __always_inline bool turn_to_loopback(struct bpf_sock_ops* ctx,
                                             struct mutua_origin* origin) {
  int loopback = LOOPBACK_INTERFACE;
  if (bpf_setsockopt(ctx, SOL_SOCKET, SO_BINDTOIFINDEX, &loopback, sizeof loopback) != 0)
    return false;
  origin->handed_over = 1;
  return true;
}

static __always_inline bool hand_over(struct bpf_sock_ops* ctx, struct mutua_origin* origin) {
  const struct mutua_flow flow = flow_of(ctx, origin);
  if (bpf_map_update_elem(&handed_over, &flow, &origin->service, BPF_ANY) != 0) return false;
  if (turn_to_loopback(ctx, origin)) return true;
  bpf_map_delete_elem(&handed_over, &flow);
  return false;
}

/* The first SYN has had no answer in time, or was refused; the second one is about to be sent. */
static __always_inline void give_up_on(struct bpf_sock_ops* ctx, struct bpf_sock* socket,
                                       struct mutua_origin* origin) {
  if (origin->handed_over) return;
  if (may_be_handed_over(origin, socket) && hand_over(ctx, origin)) return note_failure(origin);
  /* The program will see it, and not later than needs be. Until then nobody else waits for the peer. */
  int one_more = 1;
  bpf_setsockopt(ctx, IPPROTO_TCP, TCP_SYNCNT, &one_more, sizeof one_more);
  struct mutua_peer_state* state = state_of(&origin->peer);
  if (state != NULL) state->held_until = bpf_ktime_get_ns() + HOLD_NANOSECONDS;
}

static __always_inline void ask_for_stand_in(const struct mutua_flow* flow,
                                             struct mutua_origin* origin, struct tcp_sock* tcp) {
  struct mutua_silence silence = {.flow = *flow, .service = origin->service};
  struct tcp_options_received* options = &tcp->rx_opt;
  silence.client_sequence = tcp->snd_una;
  silence.peer_sequence = tcp->rcv_nxt;
  silence.client_window = tcp->rcv_wnd;
  silence.peer_time = options->ts_recent;
  silence.longest_segment = options->mss_clamp;
  silence.client_scale = BPF_CORE_READ_BITFIELD(options, rcv_wscale);
  silence.peer_scale = BPF_CORE_READ_BITFIELD(options, snd_wscale);
  silence.has_scales = BPF_CORE_READ_BITFIELD(options, wscale_ok);
  silence.has_times = BPF_CORE_READ_BITFIELD(options, tstamp_ok);
  silence.has_selective = BPF_CORE_READ_BITFIELD(options, sack_ok) != 0;
  bpf_ringbuf_output(&silences, &silence, sizeof silence, 0);
  origin->silent_at = bpf_ktime_get_ns();
}

/* All that the program said is still here, to be said to somebody else. */
static __always_inline bool is_unheard(const struct tcp_sock* tcp) {
  return tcp->bytes_received == 0 && tcp->bytes_acked <= 1;
}

/* What the program said is about to be repeated. */
static __always_inline void note_silence(struct bpf_sock_ops* ctx, struct bpf_sock* socket,
                                         struct mutua_origin* origin) {
  if (!may_be_handed_over(origin, socket)) return;
  struct tcp_sock* tcp = bpf_skc_to_tcp_sock(socket);
  if (tcp == NULL || !is_unheard(tcp)) return;
  const struct mutua_flow flow = flow_of(ctx, origin);
  int yes = 1; /* the next time-out is no longer than this one */
  bpf_setsockopt(ctx, IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, &yes, sizeof yes);
  if (origin->silent_at == 0) {
    ask_for_stand_in(&flow, origin, tcp);
  } else if (bpf_map_delete_elem(&handed_over, &flow) == 0 && turn_to_loopback(ctx, origin)) {
    note_failure(origin);
  }
}

SEC("sockops")
int watch(struct bpf_sock_ops* ctx) {
  const __u32 op = ctx->op;
  if (op != BPF_SOCK_OPS_TIMEOUT_INIT && op != BPF_SOCK_OPS_TCP_CONNECT_CB &&
      op != BPF_SOCK_OPS_RTO_CB && op != BPF_SOCK_OPS_STATE_CB)
    return 1;
  struct bpf_sock* socket = ctx->sk;
  if (socket == NULL) return 1;
  struct mutua_origin* origin = bpf_sk_storage_get(&origins, socket, NULL, 0);
  if (origin == NULL) return 1;
  if (op == BPF_SOCK_OPS_TIMEOUT_INIT) {
    if (ticks_per_second != 0) ctx->reply = (int)(origin->syn_timeout_ms * ticks_per_second / 1000);
  } else if (op == BPF_SOCK_OPS_TCP_CONNECT_CB) {
    bpf_sock_ops_cb_flags_set(ctx, BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_RTO_CB_FLAG);
  } else if (op == BPF_SOCK_OPS_RTO_CB) {
    if (ctx->state == BPF_TCP_SYN_SENT) give_up_on(ctx, socket, origin);
    if (ctx->state == BPF_TCP_ESTABLISHED) note_silence(ctx, socket, origin);
  } else {
    note_step(ctx, socket, origin);
  }
  return 1;
}

/* ---- what comes to the relay ------------------------------------------------------------------- */

static __always_inline void assign(struct bpf_sk_lookup* ctx, __u32 gate) {
  struct bpf_sock* relay = bpf_map_lookup_elem(&gates, &gate);
  if (relay == NULL) return;
  bpf_sk_assign(ctx, relay, 0);
  bpf_sk_release(relay);
}

/* Not for a synthetic address: a peer's, perhaps, in whose place the relay answers. */
static __always_inline void bring_handed_over(struct bpf_sk_lookup* ctx) {
  if (ctx->ingress_ifindex != LOOPBACK_INTERFACE) return;
  struct mutua_flow flow = {};
  flow.client.family = flow.peer.family = (__u16)ctx->family;
  flow.client.port = ctx->remote_port;
  flow.peer.port = bpf_htons((__u16)ctx->local_port);
  if (ctx->family == AF_INET) {
    const __u32 client = ctx->remote_ip4, peer = ctx->local_ip4;
    __builtin_memcpy(flow.client.address, &client, 4);
    __builtin_memcpy(flow.peer.address, &peer, 4);
  } else {
    const __u32 client[4] = {WORD(ctx->remote_ip6[0]), WORD(ctx->remote_ip6[1]),
                             WORD(ctx->remote_ip6[2]), WORD(ctx->remote_ip6[3])};
    const __u32 peer[4] = {WORD(ctx->local_ip6[0]), WORD(ctx->local_ip6[1]),
                           WORD(ctx->local_ip6[2]), WORD(ctx->local_ip6[3])};
    __builtin_memcpy(flow.client.address, client, 16);
    __builtin_memcpy(flow.peer.address, peer, 16);
  }
  if (bpf_map_lookup_elem(&handed_over, &flow) == NULL) return;
  assign(ctx, ctx->family == AF_INET ? MUTUA_GATE_HANDED_IPV4 : MUTUA_GATE_HANDED_IPV6);
}

SEC("sk_lookup")
int bring(struct bpf_sk_lookup* ctx) {
  if (ctx->protocol != IPPROTO_TCP) return SK_PASS;
  __u32 ipv4 = 0;
  bool is_synthetic;
  if (ctx->family == AF_INET) {
    ipv4 = ctx->local_ip4;
    is_synthetic = true;
  } else {
    ipv4 = ctx->local_ip6[3];
    is_synthetic = has_ipv6 && ctx->local_ip6[0] == ipv6_prefix[0] &&
                   ctx->local_ip6[1] == ipv6_prefix[1] && ctx->local_ip6[2] == ipv6_prefix[2];
  }
  if (!is_synthetic || (ipv4 & pool_mask) != pool_network) {
    bring_handed_over(ctx);
    return SK_PASS;
  }
  const struct mutua_service_key key = {.address = ipv4, .port = bpf_htons((__u16)ctx->local_port)};
  if (bpf_map_lookup_elem(&places, &key) == NULL) return SK_PASS;
  assign(ctx, ctx->family == AF_INET ? MUTUA_GATE_IPV4 : MUTUA_GATE_IPV6);
  return SK_PASS;
}

/* ---- refusals ---------------------------------------------------------------------------------- */

/* A packet that would end the connection of `tuple` (remote end first). */
struct refusal {
  struct bpf_sock_tuple tuple;
  __u32 tuple_size;
  __u16 family;
  bool is_reset; /* otherwise ICMP */
};

/* Whether one of ours waits for its peer's first answer, and can do without it. */
enum waiting { WAITS_NOT, WAITS_FOR_CONNECTION, WAITS_FOR_STAND_IN };

/* A connection that was reset with all that it said unheard: a socket that stands in for the peer hears
 * it, when it is repeated. */
static __always_inline bool may_get_stand_in(const struct refusal* refusal, struct bpf_sock* socket,
                                             struct mutua_origin* origin) {
  struct tcp_sock* tcp = bpf_skc_to_tcp_sock(socket);
  if (tcp == NULL || !is_unheard(tcp) || tcp->snd_nxt == tcp->snd_una) return false;
  if (origin->silent_at != 0) return bpf_ktime_get_ns() - origin->silent_at < UNHEARD_NANOSECONDS;
  struct mutua_flow flow = {.peer = origin->peer};
  flow.client.family = refusal->family;
  if (refusal->family == AF_INET) {
    flow.client.port = refusal->tuple.ipv4.dport;
    __builtin_memcpy(flow.client.address, &refusal->tuple.ipv4.daddr, 4);
  } else {
    flow.client.port = refusal->tuple.ipv6.dport;
    __builtin_memcpy(flow.client.address, refusal->tuple.ipv6.daddr, 16);
  }
  ask_for_stand_in(&flow, origin, tcp);
  return true;
}

static __always_inline enum waiting who_waits(struct __sk_buff* skb, struct refusal* refusal) {
  struct bpf_sock* socket =
      bpf_sk_lookup_tcp(skb, &refusal->tuple, refusal->tuple_size, BPF_F_CURRENT_NETNS, 0);
  if (socket == NULL) return WAITS_NOT;
  enum waiting waiting = WAITS_NOT;
  struct mutua_origin* origin = bpf_sk_storage_get(&origins, socket, NULL, 0);
  if (origin != NULL && may_be_handed_over(origin, socket)) {
    if (socket->state == BPF_TCP_SYN_SENT) {
      waiting = WAITS_FOR_CONNECTION;
    } else if (socket->state == BPF_TCP_ESTABLISHED && refusal->is_reset &&
               may_get_stand_in(refusal, socket, origin)) {
      waiting = WAITS_FOR_STAND_IN;
    }
  }
  bpf_sk_release(socket);
  return waiting;
}

/* A number that no SYN can have asked for: see the top. */
static __always_inline void make_unbelievable(struct __sk_buff* skb, __u32 tcp_offset,
                                              __u32 acknowledged) {
  const __u32 other = bpf_htonl(bpf_ntohl(acknowledged) - (1u << 30));
  bpf_l4_csum_replace(skb, tcp_offset + offsetof(struct tcphdr, check), acknowledged, other,
                      sizeof other);
  bpf_skb_store_bytes(skb, tcp_offset + offsetof(struct tcphdr, ack_seq), &other, sizeof other, 0);
}

/* The packet's first `size` octets in one piece; null: there are fewer. */
static __always_inline void* first_octets(struct __sk_buff* skb, __u32 size) {
  void *data = (void*)(long)WORD(skb->data), *end = (void*)(long)WORD(skb->data_end);
  if (data + size > end) {
    if (bpf_skb_pull_data(skb, size) != 0) return NULL;
    data = (void*)(long)WORD(skb->data);
    end = (void*)(long)WORD(skb->data_end);
    if (data + size > end) return NULL;
  }
  return data;
}

/* What follows an IP header; 0 where the header is longer than usual. */
static __always_inline __u8 carried_by(const void* ip, bool is_ipv6) {
  if (is_ipv6) return ((const struct ipv6hdr*)ip)->nexthdr;
  return ((const struct iphdr*)ip)->ihl == 5 ? ((const struct iphdr*)ip)->protocol : 0;
}

/* Names the connection of the packet, which the remote end sent; or that of one which was sent there. */
static __always_inline void name_connection(struct refusal* refusal, const void* packet,
                                            bool is_ipv6, bool was_sent_there) {
  const __be16* ports = packet + (is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
  const __be16 remote = ports[was_sent_there], local = ports[!was_sent_there];
  if (is_ipv6) {
    const struct ipv6hdr* ip = packet;
    __builtin_memcpy(refusal->tuple.ipv6.saddr, was_sent_there ? &ip->daddr : &ip->saddr, 16);
    __builtin_memcpy(refusal->tuple.ipv6.daddr, was_sent_there ? &ip->saddr : &ip->daddr, 16);
    refusal->tuple.ipv6.sport = remote;
    refusal->tuple.ipv6.dport = local;
    refusal->tuple_size = sizeof refusal->tuple.ipv6;
    refusal->family = AF_INET6;
  } else {
    const struct iphdr* ip = packet;
    refusal->tuple.ipv4.saddr = was_sent_there ? ip->daddr : ip->saddr;
    refusal->tuple.ipv4.daddr = was_sent_there ? ip->saddr : ip->daddr;
    refusal->tuple.ipv4.sport = remote;
    refusal->tuple.ipv4.dport = local;
    refusal->tuple_size = sizeof refusal->tuple.ipv4;
    refusal->family = AF_INET;
  }
}

static __always_inline bool is_unreachable(const __u8* icmp, bool is_ipv6) {
  if (is_ipv6) return icmp[0] == ICMPV6_DEST_UNREACH;
  return icmp[0] == ICMP_DEST_UNREACH && icmp[1] != ICMP_FRAG_NEEDED;
}

static __always_inline int hear_ip(struct __sk_buff* skb, __u32 offset, bool is_ipv6) {
  const __u32 header = is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
  const __u32 body = offset + header, sent = body + 8;
  void* data = first_octets(skb, body + sizeof(struct tcphdr));
  if (data == NULL) return TC_ACT_UNSPEC;
  const __u8 protocol = carried_by(data + offset, is_ipv6);
  struct refusal refusal = {};
  if (protocol == IPPROTO_TCP) {
    const struct tcphdr* tcp = data + body;
    if (!tcp->rst) return TC_ACT_UNSPEC;
    const bool has_ack = tcp->ack;
    const __u32 acknowledged = tcp->ack_seq;
    refusal.is_reset = true;
    name_connection(&refusal, data + offset, is_ipv6, false);
    const enum waiting waiting = who_waits(skb, &refusal);
    if (waiting == WAITS_FOR_STAND_IN) return TC_ACT_SHOT;
    if (waiting == WAITS_FOR_CONNECTION && has_ack) make_unbelievable(skb, body, acknowledged);
  } else if (protocol == (is_ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)) {
    if (!is_unreachable(data + body, is_ipv6)) return TC_ACT_UNSPEC;
    data = first_octets(skb, sent + header + 4);
    if (data == NULL || carried_by(data + sent, is_ipv6) != IPPROTO_TCP) return TC_ACT_UNSPEC;
    name_connection(&refusal, data + sent, is_ipv6, true);
    if (who_waits(skb, &refusal) == WAITS_FOR_CONNECTION) return TC_ACT_SHOT;
  }
  return TC_ACT_UNSPEC;
}

static __always_inline int hear(struct __sk_buff* skb, __u32 offset) {
  if (skb->protocol == bpf_htons(ETH_P_IP)) return hear_ip(skb, offset, false);
  if (skb->protocol == bpf_htons(ETH_P_IPV6)) return hear_ip(skb, offset, true);
  return TC_ACT_UNSPEC;
}

/* On interfaces whose packets have an Ethernet header, and on those without (tunnels). */
SEC("tc")
int refused_ethernet(struct __sk_buff* skb) { return hear(skb, sizeof(struct ethhdr)); }

SEC("tc")
int refused_bare(struct __sk_buff* skb) { return hear(skb, 0); }

char _license[] SEC("license") = "GPL";
