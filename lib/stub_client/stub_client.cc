#include "stub_client/stub_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "stub_client/dns_stream.h"
#include "stub_client/wait_ready.h"
#include "wire/message.h"

namespace mutua::stub_client {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kLargestUdpRequest = wire::kEdnsUdpSize;
constexpr int kSendings = 4;

// A response to `request`: the id, QR, and the question (which an error may leave out).
bool answers(const wire::Message& request, BytesView bytes, const wire::Header& header) {
  if (!header.response || header.id != request.header.id) return false;
  const auto response = wire::parse(bytes);
  if (!response.ok()) return false;
  if (response->question.empty()) return header.rcode != wire::Rcode::noerror;
  return response->question == request.question;
}

// The response, or nothing where it was truncated and TCP shall be asked.
Result<Bytes> ask_udp(const SocketAddress& server, BytesView message, const wire::Message& request,
                      SteadyTime deadline, milliseconds timeout, bool& truncated) {
  const UniqueFd fd(::socket(server.family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno_error(errno, "socket");
  // Connected: it takes datagrams from the server's address only.
  if (::connect(fd.get(), server.data(), server.size()) != 0) return errno_error(errno, "connect");
  Bytes buffer(wire::kLargestMessage);
  for (int sending = 0; sending < kSendings; ++sending) {
    if (::send(fd.get(), message.data(), message.size(), MSG_NOSIGNAL) < 0 && errno != EAGAIN) {
      return errno_error(errno, "send");
    }
    const auto again = std::min(deadline, std::chrono::steady_clock::now() + timeout / kSendings);
    while (TRY(wait_ready(fd.get(), POLLIN, again))) {
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

Result<Bytes> ask_tcp(const SocketAddress& server, BytesView message, const wire::Message& request,
                      SteadyTime deadline) {
  DnsStream stream = TRY(DnsStream::connect(server, deadline));
  TRY(stream.send(message, deadline));
  for (;;) {
    Bytes bytes = TRY(stream.receive(deadline));
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
