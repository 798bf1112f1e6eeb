/* Connections to synthetic addresses are turned to peers while connect(2) begins: the program talks
 * to its peer directly, and the kernel copies nothing twice.
 *
 *   connect4/6      (synthetic address, port) -> the first peer of its list that is not held down
 *   getpeername4/6  the peer -> the synthetic address, as the program knows it
 *   sk_lookup       what is not led to a peer comes to the relay, which needs no socket on the address,
 *                   whoever has the port on all addresses; of this network namespace, not of a cgroup
 *   sockops         short time-outs for the first packets; a peer that refuses, or lets the first one
 *                   time out, is held down for everybody at once; the round-trip time when a
 *                   connection ends
 *
 * Attached to a cgroup, hence the programs of other network namespaces come by too: the resolver's
 * relay does not reach them, so they are left alone. */

#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "redirect_maps.h"

#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define IPPROTO_TCP 6
#define TCP_SYNCNT 7
#define HOLD_NANOSECONDS 1000000000ull /* until the resolver has heard of it and decides */

/* Set before the programs are loaded. */
const volatile __u64 netns_cookie;
const volatile __u32 pool_network, pool_mask; /* network order */
const volatile bool has_ipv6;
const volatile __u32 ipv6_prefix[3];
const volatile __u32 ticks_per_second; /* of the kernel's timers */

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

/* Wakes the resolver when a peer has failed; what it says stands in `peers`. */
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} failures SEC(".maps");

/* The relay's listening sockets: 0 for IPv4, 1 for IPv6. */
struct {
  __uint(type, BPF_MAP_TYPE_SOCKMAP);
  __uint(max_entries, 2);
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

/* The two fields of the kernel's that no stable interface tells; found by name at load time. */
struct sock {
  int sk_err;
} __attribute__((preserve_access_index));
struct tcp_sock {
  unsigned int srtt_us;
} __attribute__((preserve_access_index));

static __always_inline bool is_held(const struct mutua_endpoint* peer, __u64 now) {
  const struct mutua_peer_state* state = bpf_map_lookup_elem(&peers, peer);
  return state != NULL && now < state->held_until;
}

/* The peer for a connection to (ipv4, port) whose socket takes addresses of `family`; remembered with
 * the socket. Null: the relay's business. */
static __always_inline struct mutua_origin* choose(struct bpf_sock_addr* ctx, __u32 ipv4,
                                                   __u16 family) {
  struct mutua_service_key key = {.address = ipv4, .port = (__u16)ctx->user_port};
  const struct mutua_service* service = bpf_map_lookup_elem(&services, &key);
  if (service == NULL) return NULL;
  const __u64 now = bpf_ktime_get_ns();
  for (__u32 i = 0; i < MUTUA_MOST_PEERS; ++i) {
    if (i >= service->peer_count) return NULL;
    if (service->peers[i].endpoint.family != family) continue;
    if (is_held(&service->peers[i].endpoint, now)) continue;
    struct mutua_origin* origin =
        bpf_sk_storage_get(&origins, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
    if (origin == NULL) return NULL;
    origin->peer = service->peers[i].endpoint;
    origin->syn_timeout_ms = service->peers[i].syn_timeout_ms;
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

static __always_inline struct mutua_peer_state* state_of(const struct mutua_endpoint* peer) {
  struct mutua_peer_state* state = bpf_map_lookup_elem(&peers, peer);
  if (state != NULL) return state;
  const struct mutua_peer_state fresh = {};
  bpf_map_update_elem(&peers, peer, &fresh, BPF_NOEXIST);
  return bpf_map_lookup_elem(&peers, peer);
}

/* The first SYN has had no answer in time: until it is known why, nobody else waits for this peer. */
static __always_inline void note_silence(const struct mutua_origin* origin) {
  struct mutua_peer_state* state = state_of(&origin->peer);
  if (state != NULL) state->held_until = bpf_ktime_get_ns() + HOLD_NANOSECONDS;
}

/* A connection has come from one state of TCP to another. */
static __always_inline void note_step(struct bpf_sock_ops* ctx, struct bpf_sock* socket,
                                      const struct mutua_origin* origin) {
  const __u32 old_state = ctx->args[0], new_state = ctx->args[1];
  const bool never_began = old_state == BPF_TCP_SYN_SENT && new_state == BPF_TCP_CLOSE;
  const bool begins = old_state == BPF_TCP_SYN_SENT && new_state == BPF_TCP_ESTABLISHED;
  const bool ends = old_state == BPF_TCP_ESTABLISHED;
  if (begins) {
    /* Late, but it has answered: see note_silence(). */
    struct mutua_peer_state* late = bpf_map_lookup_elem(&peers, &origin->peer);
    if (late != NULL && late->held_until != 0) late->held_until = 0;
    return;
  }
  if (!never_began && !ends) return;
  struct tcp_sock* tcp = bpf_skc_to_tcp_sock(socket);
  if (tcp == NULL) return;
  /* No error: the program has given up by itself, which says nothing about the peer. */
  if (never_began && ((struct sock*)tcp)->sk_err == 0) return;
  struct mutua_peer_state* state = state_of(&origin->peer);
  if (state == NULL) return;
  if (never_began) {
    state->held_until = bpf_ktime_get_ns() + HOLD_NANOSECONDS;
    __sync_fetch_and_add(&state->failures, 1);
    const __u8 one = 1; /* a full buffer has woken it already */
    bpf_ringbuf_output(&failures, (void*)&one, sizeof one, 0);
  } else {
    state->rtt_us = tcp->srtt_us >> 3;
    __sync_fetch_and_add(&state->closes, 1);
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
  const struct mutua_origin* origin = bpf_sk_storage_get(&origins, socket, NULL, 0);
  if (origin == NULL) return 1;
  if (op == BPF_SOCK_OPS_TIMEOUT_INIT) {
    if (ticks_per_second != 0) ctx->reply = (int)(origin->syn_timeout_ms * ticks_per_second / 1000);
  } else if (op == BPF_SOCK_OPS_TCP_CONNECT_CB) {
    int one_more = 1;
    bpf_setsockopt(ctx, IPPROTO_TCP, TCP_SYNCNT, &one_more, sizeof one_more);
    bpf_sock_ops_cb_flags_set(ctx, BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_RTO_CB_FLAG);
  } else if (op == BPF_SOCK_OPS_RTO_CB) {
    if (ctx->state == BPF_TCP_SYN_SENT) note_silence(origin);
  } else {
    note_step(ctx, socket, origin);
  }
  return 1;
}

SEC("sk_lookup")
int bring(struct bpf_sk_lookup* ctx) {
  if (ctx->protocol != IPPROTO_TCP) return SK_PASS;
  __u32 ipv4 = 0, gate = 0;
  if (ctx->family == AF_INET) {
    ipv4 = ctx->local_ip4;
  } else {
    if (!has_ipv6 || ctx->local_ip6[0] != ipv6_prefix[0] || ctx->local_ip6[1] != ipv6_prefix[1] ||
        ctx->local_ip6[2] != ipv6_prefix[2])
      return SK_PASS;
    ipv4 = ctx->local_ip6[3];
    gate = 1;
  }
  if ((ipv4 & pool_mask) != pool_network) return SK_PASS;
  const struct mutua_service_key key = {.address = ipv4, .port = bpf_htons((__u16)ctx->local_port)};
  if (bpf_map_lookup_elem(&places, &key) == NULL) return SK_PASS;
  struct bpf_sock* relay = bpf_map_lookup_elem(&gates, &gate);
  if (relay == NULL) return SK_PASS;
  bpf_sk_assign(ctx, relay, 0);
  bpf_sk_release(relay);
  return SK_PASS;
}

char _license[] SEC("license") = "GPL";
