#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace mutua::vm {

// What the daemon and its mutua-machine say to each other, over a SOCK_SEQPACKET pair; the same
// framing serves inside mutua-machine. One message a packet: a word, then, where there is more,
// a new line and the rest.
//
//   daemon -> machine   spec     the spec's text; first and once, however late
//                       stop     milliseconds: ask the guest; kill it when they have passed
//                       kill
//                       freeze   hold the guest's kernel still, until
//                       go_on
//                       take     the snapshot request's text
//   machine -> daemon   ready    a port a line: the guest's kernel runs, the ports listen
//                       taken    the guest's kernel's report: the files are where they should be
//                       untaken  why there is no snapshot
//                       exited   a line with the reason, a line with the detail; last and once
//
// Either side's end of file means that the other died.
struct Message {
  std::string word;
  std::string rest;
};

inline constexpr std::size_t kLargestMessageBytes = 64 << 10;

struct ChannelPair;

// One end of such a pair. Sockets do not block; an instance belongs to one thread.
class Channel {
 public:
  explicit Channel(UniqueFd socket) : socket_(std::move(socket)) {}

  static Result<ChannelPair> create_pair();

  int fd() const { return socket_.get(); }
  int release() { return socket_.release(); }
  // False when the other end is gone or does not read.
  bool send(std::string_view word, std::string_view rest = {}) const;

  enum class Reception { message, nothing_yet, closed };
  Reception receive(Message& message) const;

 private:
  UniqueFd socket_;
};

struct ChannelPair {
  Channel first;
  Channel second;
};

}  // namespace mutua::vm
