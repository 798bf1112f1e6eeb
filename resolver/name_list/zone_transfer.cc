#include "resolver/name_list/zone_transfer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <random>

#include "base/unique_fd.h"

namespace mutua::resolver {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kLongestTransfer = std::size_t{1} << 30;

// A TCP connection that nobody waits for beyond its deadline.
class Stream {
 public:
  Stream(const SocketAddress& server, Clock::time_point deadline)
      : deadline_(deadline),
        socket_(::socket(server.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    if (socket_ && connect(socket_.get(), server.data(), server.size()) != 0 &&
        errno != EINPROGRESS)
      socket_.reset();
  }

  Result<void> send_all(BytesView octets) {
    while (!octets.empty()) {
      TRY(wait(POLLOUT));
      const auto sent = send(socket_.get(), octets.data(), octets.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN) return errno_error(errno, "send");
      if (sent > 0) octets = octets.subspan(static_cast<std::size_t>(sent));
    }
    return {};
  }

  // One message behind its length (RFC 1035 section 4.2.2).
  Result<Bytes> receive_message() {
    const Bytes length = TRY(receive(2));
    return receive(load_u16(length.data()));
  }

 private:
  Result<void> wait(short events) {
    if (!socket_) return errno_error(errno, "connect");
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
    pollfd watched{socket_.get(), events, 0};
    if (left <= 0 || poll(&watched, 1, static_cast<int>(left)) <= 0)
      return Error("no answer in time");
    return {};
  }

  Result<Bytes> receive(std::size_t size) {
    Bytes octets(size);
    for (std::size_t have = 0; have < size;) {
      TRY(wait(POLLIN));
      const auto received = recv(socket_.get(), octets.data() + have, size - have, 0);
      if (received == 0) return Error("the stream ended early");
      if (received < 0 && errno != EAGAIN) return errno_error(errno, "receive");
      if (received > 0) have += static_cast<std::size_t>(received);
    }
    return octets;
  }

  const Clock::time_point deadline_;
  UniqueFd socket_;
};

Bytes question_for(const wire::Name& zone, std::uint16_t id) {
  wire::Message query;
  query.header.id = id;
  query.question.push_back({zone, wire::RRType::axfr, wire::RRClass::in});
  const Bytes message = query.to_wire();
  Bytes framed;
  append_u16(framed, static_cast<std::uint16_t>(message.size()));
  append(framed, message);
  return framed;
}

}  // namespace

Result<void> transfer_zone(const SocketAddress& authority, const wire::Name& zone,
                           std::chrono::milliseconds patience,
                           const std::function<void(const wire::Record&)>& take) {
  const std::string what = "transfer " + zone.to_text() + " from " + authority.to_text();
  const auto id = static_cast<std::uint16_t>(std::random_device()());
  Stream stream(authority, Clock::now() + patience);
  if (const auto sent = stream.send_all(question_for(zone, id)); !sent)
    return sent.error().in(what);
  bool begun = false;
  for (std::size_t octets = 0; octets < kLongestTransfer;) {
    const auto bytes = stream.receive_message();
    if (!bytes) return bytes.error().in(what);
    octets += bytes->size();
    const auto message = wire::parse(*bytes);
    if (!message) return message.error().in(what);
    if (!message->header.response || message->header.id != id)
      return Error(what + ": not an answer to it");
    if (message->header.rcode != wire::Rcode::noerror) return Error(what + ": refused");
    for (const wire::Record& record : message->answer) {
      const bool is_soa = record.type == wire::RRType::soa && record.owner == zone;
      if (!begun && !is_soa) return Error(what + ": does not begin with its SOA");
      if (begun && is_soa) return {};
      begun = true;
      if (record.owner.is_at_or_below(zone)) take(record);
    }
    if (message->answer.empty()) return Error(what + ": a message without records");
  }
  return Error(what + ": too long");
}

}  // namespace mutua::resolver
