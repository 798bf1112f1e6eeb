#include "authority/server/udp_worker.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <span>
#include <utility>

#include "base/log.h"
#include "base/thread_scheduling.h"

namespace mutua::authority {
namespace {

constexpr unsigned kBatchSize = 64;
constexpr std::size_t kRequestSize = 4096;  // octets; longer datagrams come cut and are malformed
// Not a power of two apart, so that the starts of 64 buffers do not fall into the same cache sets.
constexpr std::size_t kRequestStride = kRequestSize + 192;
constexpr std::size_t kResponseStride = kUdpResponseSize + 112;
static_assert(kRequestStride % 64 == 0 && kResponseStride % 64 == 0);

// Room for the address that a datagram was sent to: in_pktinfo or in6_pktinfo.
struct alignas(cmsghdr) Control {
  std::array<std::uint8_t, CMSG_SPACE(sizeof(in6_pktinfo))> octets;
};

// Turns what the kernel said of a datagram's destination into the source of the response. The
// interface is left to the routes, except for link-local addresses, which mean nothing without it.
void reverse_control(msghdr& header) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control;
       control = CMSG_NXTHDR(&header, control)) {
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
      auto* info = reinterpret_cast<in_pktinfo*>(CMSG_DATA(control));
      info->ipi_ifindex = 0;
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
      auto* info = reinterpret_cast<in6_pktinfo*>(CMSG_DATA(control));
      if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr)) info->ipi6_ifindex = 0;
    }
  }
}

// Where one late response goes, and from where.
struct ReturnPath {
  sockaddr_storage peer;
  socklen_t peer_size;
  Control control;
  std::size_t control_size;
};

BytesView address_octets(const sockaddr_storage& peer) {
  if (peer.ss_family == AF_INET) {
    const auto& address = reinterpret_cast<const sockaddr_in&>(peer).sin_addr;
    return {reinterpret_cast<const std::uint8_t*>(&address), sizeof address};
  }
  const auto& address = reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr;
  return {reinterpret_cast<const std::uint8_t*>(&address), sizeof address};
}

void send_late(int socket, ReturnPath path, Bytes response) {
  if (response.empty()) return;
  iovec octets{response.data(), response.size()};
  msghdr header{};
  header.msg_name = &path.peer;
  header.msg_namelen = path.peer_size;
  header.msg_iov = &octets;
  header.msg_iovlen = 1;
  header.msg_control = path.control_size != 0 ? &path.control : nullptr;
  header.msg_controllen = path.control_size;
  // A response that the kernel has no room for is lost, as any datagram may be.
  [[maybe_unused]] const ssize_t sent = ::sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

struct UdpWorker::Batch {
  explicit Batch(Catalog& catalog) : reader(catalog) {
    for (unsigned i = 0; i < kBatchSize; ++i) {
      request_octets[i] = {requests.data() + i * kRequestStride, kRequestSize};
      in[i].msg_hdr.msg_iov = &request_octets[i];
      in[i].msg_hdr.msg_iovlen = 1;
      in[i].msg_hdr.msg_name = &peers[i];
      in[i].msg_hdr.msg_control = &controls[i];
    }
  }

  BytesView message(unsigned index) const {
    return {requests.data() + index * kRequestStride, in[index].msg_len};
  }
  std::uint8_t* response(unsigned index) { return responses.data() + index * kResponseStride; }

  Catalog::Reader reader;
  unsigned received = 0;
  unsigned to_send = 0;
  std::int64_t came = 0;                           // for the tap
  std::array<unsigned, kBatchSize> answered_to{};  // the message that each response belongs to
  std::array<mmsghdr, kBatchSize> in{}, out{};
  std::array<iovec, kBatchSize> request_octets{}, response_octets{};
  std::array<sockaddr_storage, kBatchSize> peers{};
  std::array<Control, kBatchSize> controls{};
  std::array<Answering, kBatchSize> answerings;
  alignas(64) std::array<std::uint8_t, kBatchSize * kRequestStride> requests;
  alignas(64) std::array<std::uint8_t, kBatchSize * kResponseStride> responses;
};

UdpWorker::UdpWorker(UniqueFd socket, const AnsweringContext& context)
    : socket_(std::make_shared<const UniqueFd>(std::move(socket))),
      context_(context),
      answers_(context, counters_),
      tap_(context.add_tap_ring()) {}

UdpWorker::~UdpWorker() { stop(); }

void UdpWorker::start() {
  thread_ = std::thread([this] { run(); });
}

void UdpWorker::stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true);  // seen when the receive wakes: a shutdown would reach whoever shares the
  thread_.join();         // socket, too
}

void UdpWorker::run() {
  ask_for_short_slices();  // in front of the writer, where they share a processor
  const auto batch = std::make_unique<Batch>(context_.catalog);
  while (!stopping_.load(std::memory_order_relaxed)) {
    receive_into(*batch);
    if (batch->received == 0) continue;
    answer_all(*batch);
    unsigned sent = 0;
    while (sent < batch->to_send) {
      const int count = ::sendmmsg(socket_->get(), &batch->out[sent], batch->to_send - sent, 0);
      // The first of the rest cannot be sent (its peer is unreachable, say): on with the next.
      sent += count > 0 ? static_cast<unsigned>(count) : errno == EINTR ? 0 : 1;
    }
    if (tap_) tell(*batch);  // nobody waits for it
  }
}

void UdpWorker::receive_into(Batch& batch) {
  for (mmsghdr& message : batch.in) {
    message.msg_hdr.msg_namelen = sizeof(sockaddr_storage);
    message.msg_hdr.msg_controllen = sizeof(Control);
  }
  const int count =
      ::recvmmsg(socket_->get(), batch.in.data(), kBatchSize, MSG_WAITFORONE, nullptr);
  batch.received = count > 0 ? static_cast<unsigned>(count) : 0;
  const bool expected = count >= 0 || errno == EAGAIN || errno == EINTR;
  if (!expected) log::warning("udp.receive_failed", {{"errno", errno}});
}

void UdpWorker::answer_all(Batch& batch) {
  const auto version = batch.reader.pin();
  answers_.begin_batch(batch.received);
  if (tap_) batch.came = tap_time();
  batch.to_send = 0;
  for (unsigned i = 0; i < batch.received; ++i)
    batch.answerings[i].begin(batch.message(i), *version, context_.list);
  advance_together(std::span(batch.answerings).first(batch.received));
  for (unsigned i = 0; i < batch.received; ++i) {
    std::uint8_t* const response = batch.response(batch.to_send);
    const Answered answered = answers_.finish(batch.answerings[i], address_octets(batch.peers[i]),
                                              {response, kUdpResponseSize});
    if (answered.kind == Answered::Kind::silent) continue;
    if (answered.kind == Answered::Kind::update && context_.gate &&
        !context_.gate(batch.message(i)))
      continue;
    msghdr& header = batch.in[i].msg_hdr;
    reverse_control(header);
    const bool forwards = answered.kind == Answered::Kind::not_ours && context_.forward &&
                          asks_for_recursion(batch.message(i));
    if (forwards || answered.kind == Answered::Kind::update) {
      hand_over(forwards ? context_.forward : context_.update, batch, i);
      continue;
    }
    if (answered.kind == Answered::Kind::to_sign) {
      sign(batch, i, {response, answered.size});
      continue;
    }
    answers_.count(response);
    batch.response_octets[batch.to_send] = {response, answered.size};
    batch.answered_to[batch.to_send] = i;
    msghdr& out = batch.out[batch.to_send++].msg_hdr;
    out = header;
    out.msg_iov = &batch.response_octets[batch.to_send - 1];
    out.msg_flags = 0;
    if (out.msg_controllen == 0) out.msg_control = nullptr;
  }
}

void UdpWorker::sign(Batch& batch, unsigned index, BytesView response) {
  const msghdr& header = batch.in[index].msg_hdr;
  const ReturnPath path{batch.peers[index], header.msg_namelen, batch.controls[index],
                        header.msg_controllen};
  Bytes with_tsig = context_.sign(batch.message(index), response);
  if (tap_) tell(batch, index, with_tsig, tap_time());
  send_late(socket_->get(), path, std::move(with_tsig));
}

void UdpWorker::tell(const Batch& batch) {
  const std::int64_t now = tap_time();
  for (unsigned i = 0; i < batch.to_send; ++i) {
    const iovec& response = batch.response_octets[i];
    tell(batch, batch.answered_to[i],
         {static_cast<const std::uint8_t*>(response.iov_base), response.iov_len}, now);
  }
  tap_->publish();
}

void UdpWorker::tell(const Batch& batch, unsigned index, BytesView response, std::int64_t now) {
  const sockaddr_storage& peer = batch.peers[index];
  TapExchange exchange;
  exchange.peer = address_octets(peer);
  // In the same place for both families.
  exchange.port = ntohs(reinterpret_cast<const sockaddr_in&>(peer).sin_port);
  exchange.query_time = batch.came;
  exchange.response_time = now;
  exchange.query = batch.message(index);
  exchange.response = response;
  tap_->record(exchange);
}

void UdpWorker::hand_over(const Taker& taker, Batch& batch, unsigned index) {
  const msghdr& header = batch.in[index].msg_hdr;
  const BytesView message = batch.message(index);
  const ReturnPath path{batch.peers[index], header.msg_namelen, batch.controls[index],
                        header.msg_controllen};
  Handover handover;
  handover.message = to_bytes(message);
  handover.source =
      SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&path.peer), path.peer_size);
  handover.transport = Transport::udp;
  handover.reply = [socket = socket_, path](Bytes response) {
    send_late(socket->get(), path, std::move(response));
  };
  counters_.handed_over.add(1);
  // Where it is full, the datagram is dropped and the client tries again.
  [[maybe_unused]] const bool taken = taker(std::move(handover));
}

}  // namespace mutua::authority
