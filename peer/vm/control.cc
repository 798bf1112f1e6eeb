#include "peer/vm/control.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace mutua::vm {

Result<ChannelPair> Channel::create_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return errno_error(errno, "socketpair");
  }
  return ChannelPair{Channel(UniqueFd(ends[0])), Channel(UniqueFd(ends[1]))};
}

bool Channel::send(std::string_view word, std::string_view rest) const {
  std::string packet(word);
  if (!rest.empty()) packet.append(1, '\n').append(rest);
  if (packet.size() > kLargestMessageBytes) return false;
  const ssize_t sent = ::send(fd(), packet.data(), packet.size(), MSG_NOSIGNAL);
  return sent == static_cast<ssize_t>(packet.size());
}

Channel::Reception Channel::receive(Message& message) const {
  std::string packet(kLargestMessageBytes, '\0');
  const ssize_t got = ::recv(fd(), packet.data(), packet.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return Reception::nothing_yet;
  if (got <= 0) return Reception::closed;
  packet.resize(static_cast<std::size_t>(got));
  const auto end = packet.find('\n');
  message.word = packet.substr(0, end);
  message.rest = end == std::string::npos ? std::string() : packet.substr(end + 1);
  return Reception::message;
}

}  // namespace mutua::vm
