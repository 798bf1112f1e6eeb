#include "stub_client/dns_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "stub_client/wait_ready.h"

namespace mutua::stub_client {

Result<void> DnsStream::wait(short events, SteadyTime deadline) const {
  if (!TRY(wait_ready(socket_.get(), events, deadline, cancel_))) return Error("no answer in time");
  return {};
}

Result<DnsStream> DnsStream::connect(const SocketAddress& server, SteadyTime deadline, int cancel) {
  UniqueFd socket(
      ::socket(server.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!socket) return errno_error(errno, "socket");
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  DnsStream stream(std::move(socket), cancel);
  if (::connect(stream.socket_.get(), server.data(), server.size()) == 0) return stream;
  if (errno != EINPROGRESS) return errno_error(errno, "connect");
  TRY(stream.wait(POLLOUT, deadline));
  int problem = 0;
  socklen_t size = sizeof problem;
  ::getsockopt(stream.socket_.get(), SOL_SOCKET, SO_ERROR, &problem, &size);
  if (problem != 0) return errno_error(problem, "connect");
  return stream;
}

Result<void> DnsStream::send(BytesView message, SteadyTime deadline) {
  Bytes framed;
  framed.reserve(2 + message.size());
  append_u16(framed, static_cast<std::uint16_t>(message.size()));
  append(framed, message);
  for (BytesView rest = framed; !rest.empty();) {
    const ssize_t count = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      rest = rest.subspan(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      TRY(wait(POLLOUT, deadline));
    } else if (errno != EINTR) {
      return errno_error(errno, "send");
    }
  }
  return {};
}

Result<void> DnsStream::fill(Bytes& out, std::size_t size, SteadyTime deadline) const {
  out.resize(size);
  for (std::size_t at = 0; at < size;) {
    const ssize_t count = ::recv(socket_.get(), out.data() + at, size - at, 0);
    if (count > 0) {
      at += static_cast<std::size_t>(count);
    } else if (count == 0) {
      return Error("the server closed the connection");
    } else if (errno == EAGAIN) {
      TRY(wait(POLLIN, deadline));
    } else if (errno != EINTR) {
      return errno_error(errno, "receive");
    }
  }
  return {};
}

Result<Bytes> DnsStream::receive(SteadyTime deadline) {
  Bytes octets;
  TRY(fill(octets, 2, deadline));
  TRY(fill(octets, load_u16(octets.data()), deadline));
  return octets;
}

}  // namespace mutua::stub_client
