/* Questions to an address that the authority listens on go past the kernel's network stack, into the
 * memory of the thread that serves the queue they came by. Everything else goes up the stack as ever:
 * TCP, fragments, IP options and extension headers, VLAN tags inside the frame, messages that are no
 * plain questions (UPDATE, NOTIFY, responses), and whatever comes where no thread has a socket. */

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "questions_maps.h"

#define FRAGMENT_BITS 0x3fff /* more fragments, and the offset */
#define QR_AND_OPCODE 0xf8   /* of the third octet of a message */

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, MUTUA_XDP_QUEUES);
  __type(key, __u32);
  __type(value, __u32);
} sockets SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, MUTUA_XDP_ENDPOINTS);
  __type(key, struct mutua_xdp_endpoint);
  __type(value, __u8);
} endpoints SEC(".maps");

struct dns_start {
  __be16 id;
  __u8 flags;
};

SEC("xdp")
int questions(struct xdp_md* context) {
  const void* const end = (const void*)(long)context->data_end;
  const struct ethhdr* ethernet = (const void*)(long)context->data;
  const struct udphdr* udp;
  struct mutua_xdp_endpoint destination = {};
  if ((const void*)(ethernet + 1) > end || (ethernet->h_dest[0] & 1)) return XDP_PASS;
  if (ethernet->h_proto == bpf_htons(ETH_P_IP)) {
    const struct iphdr* ip = (const void*)(ethernet + 1);
    if ((const void*)(ip + 1) > end || ip->ihl != 5 || ip->protocol != IPPROTO_UDP) return XDP_PASS;
    if (ip->frag_off & bpf_htons(FRAGMENT_BITS)) return XDP_PASS;
    destination.address[10] = destination.address[11] = 0xff;
    __builtin_memcpy(destination.address + 12, &ip->daddr, sizeof ip->daddr);
    udp = (const void*)(ip + 1);
  } else if (ethernet->h_proto == bpf_htons(ETH_P_IPV6)) {
    const struct ipv6hdr* ip = (const void*)(ethernet + 1);
    if ((const void*)(ip + 1) > end || ip->nexthdr != IPPROTO_UDP) return XDP_PASS;
    __builtin_memcpy(destination.address, &ip->daddr, sizeof ip->daddr);
    udp = (const void*)(ip + 1);
  } else {
    return XDP_PASS;
  }
  const struct dns_start* message = (const void*)(udp + 1);
  if ((const void*)(message + 1) > end || (message->flags & QR_AND_OPCODE)) return XDP_PASS;
  destination.port = udp->dest;
  if (!bpf_map_lookup_elem(&endpoints, &destination)) return XDP_PASS;
  return (int)bpf_redirect_map(&sockets, context->rx_queue_index, XDP_PASS);
}

const char kernel_license[] SEC("license") = "GPL";
