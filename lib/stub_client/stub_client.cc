#include "stub_client/stub_client.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "wire/message.h"

namespace mutua::stub_client {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kLargestUdpRequest = wire::kEdnsUdpSize;
constexpr int kSendings = 4;

// True when `fd` became ready before `until`.
Result<bool> ready_before(int fd, short events, SteadyTime until) {
  for (;;) {
    const auto left =
        std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now()).count();
    if (left <= 0) return false;
    pollfd entry{fd, events, 0};
    const int count = ::poll(&entry, 1, static_cast<int>(std::min<std::int64_t>(left, 3'600'000)));
    if (count > 0) return true;
    if (count < 0 && errno != EINTR) return errno_error(errno, "poll");
  }
}

// A response to `request`: the id, QR, and the question (which an error may leave out).
bool answers(const wire::Message& request, BytesView bytes, const wire::Header& header) {
  if (!header.response || header.id != request.header.id) return false;
  const auto response = wire::parse(bytes);
  if (!response.ok()) return false;
  if (response->question.empty()) return header.rcode != wire::Rcode::noerror;
  return response->question == request.question;
}

Result<UniqueFd> open_socket(const SocketAddress& server, int type) {
  UniqueFd fd(::socket(server.family(), type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno_error(errno, "socket");
  // A connected UDP socket takes datagrams from the server's address only.
  if (::connect(fd.get(), server.data(), server.size()) != 0 && errno != EINPROGRESS) {
    return errno_error(errno, "connect");
  }
  return fd;
}

// The response, or nothing where it was truncated and TCP shall be asked.
Result<Bytes> ask_udp(const SocketAddress& server, BytesView message, const wire::Message& request,
                      SteadyTime deadline, milliseconds timeout, bool& truncated) {
  const UniqueFd fd = TRY(open_socket(server, SOCK_DGRAM));
  Bytes buffer(wire::kLargestMessage);
  for (int sending = 0; sending < kSendings; ++sending) {
    if (::send(fd.get(), message.data(), message.size(), MSG_NOSIGNAL) < 0 && errno != EAGAIN) {
      return errno_error(errno, "send");
    }
    const auto again = std::min(deadline, std::chrono::steady_clock::now() + timeout / kSendings);
    while (TRY(ready_before(fd.get(), POLLIN, again))) {
      const ssize_t count = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
      if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (count < 0) return errno_error(errno, "receive");
      const BytesView bytes(buffer.data(), static_cast<std::size_t>(count));
      const auto header = wire::parse_header(bytes);
      if (!header) continue;
      // A truncated message may end anywhere, so only its id is looked at.
      truncated = header->response && header->truncated && header->id == request.header.id;
      if (truncated) return Bytes();
      // Anything else may be a forgery: the true answer may still come.
      if (answers(request, bytes, *header)) return to_bytes(bytes);
    }
  }
  return Error("no answer");
}

Result<void> send_all(int fd, BytesView bytes, SteadyTime deadline) {
  while (!bytes.empty()) {
    if (!TRY(ready_before(fd, POLLOUT, deadline))) return Error("timed out");
    const ssize_t count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (count < 0) return errno_error(errno, "send");
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Result<void> receive_all(int fd, std::span<std::uint8_t> bytes, SteadyTime deadline) {
  while (!bytes.empty()) {
    if (!TRY(ready_before(fd, POLLIN, deadline))) return Error("no answer");
    const ssize_t count = ::recv(fd, bytes.data(), bytes.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (count < 0) return errno_error(errno, "receive");
    if (count == 0) return Error("the server closed the connection");
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

// RFC 7766: each message behind its length in two octets.
Result<Bytes> ask_tcp(const SocketAddress& server, BytesView message, const wire::Message& request,
                      SteadyTime deadline) {
  const UniqueFd fd = TRY(open_socket(server, SOCK_STREAM));
  if (!TRY(ready_before(fd.get(), POLLOUT, deadline))) return Error("connect: timed out");
  int problem = 0;
  socklen_t size = sizeof problem;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &problem, &size);
  if (problem != 0) return errno_error(problem, "connect");
  const int one = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  Bytes framed;
  append_u16(framed, static_cast<std::uint16_t>(message.size()));
  append(framed, message);
  TRY(send_all(fd.get(), framed, deadline));
  for (;;) {
    std::uint8_t length[2];
    TRY(receive_all(fd.get(), length, deadline));
    Bytes bytes(load_u16(length));
    TRY(receive_all(fd.get(), bytes, deadline));
    const auto header = wire::parse_header(bytes);
    if (header && answers(request, bytes, *header)) return bytes;
  }
}

}  // namespace

Result<Bytes> exchange(const SocketAddress& server, BytesView message, milliseconds timeout,
                       Transport transport) {
  const auto failed = [&](const Error& error) {
    return error.in("ask nameserver " + server.to_text());
  };
  const auto request = wire::parse(message);
  if (!request.ok()) return failed(request.error().in("the request is malformed"));
  if (message.size() > wire::kLargestMessage) return failed(Error("the request is too long"));
  const SteadyTime deadline = std::chrono::steady_clock::now() + timeout;
  if (transport == Transport::udp_then_tcp && message.size() <= kLargestUdpRequest) {
    bool truncated = false;
    auto response = ask_udp(server, message, *request, deadline, timeout, truncated);
    if (!response.ok()) return failed(response.error());
    if (!truncated) return response;
  }
  auto response = ask_tcp(server, message, *request, deadline);
  if (!response.ok()) return failed(response.error());
  return response;
}

}  // namespace mutua::stub_client
