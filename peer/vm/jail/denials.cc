#include "peer/vm/jail/denials.h"

#include <linux/seccomp.h>
#include <poll.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "base/log.h"

namespace mutua::vm {
namespace {

// The aligned room for one descriptor.
union DescriptorRoom {
  char bytes[CMSG_SPACE(sizeof(int))];
  cmsghdr alignment;
};

std::string name_of(int call) {
  const std::unique_ptr<char, void (*)(void*)> name(
      seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call), std::free);
  return name ? name.get() : std::to_string(call);
}

}  // namespace

Result<void> send_listener(int socket, int listener) {
  char byte = 0;
  iovec content{&byte, 1};
  DescriptorRoom room{};
  msghdr message{};
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  message.msg_control = room.bytes;
  message.msg_controllen = sizeof room.bytes;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof listener);
  std::memcpy(CMSG_DATA(header), &listener, sizeof listener);
  if (::sendmsg(socket, &message, MSG_NOSIGNAL) != 1) {
    return errno_error(errno, "hand over the listener");
  }
  return {};
}

Denials::Denials(std::string machine, UniqueFd socket)
    : machine_(std::move(machine)), socket_(std::move(socket)) {}

void Denials::handle_readable() {
  if (listener_) {
    answer_call();
  } else if (socket_) {
    receive_listener();
  }
}

void Denials::receive_listener() {
  char byte = 0;
  iovec content{&byte, 1};
  DescriptorRoom room{};
  msghdr message{};
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  message.msg_control = room.bytes;
  message.msg_controllen = sizeof room.bytes;
  const ssize_t got = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  const cmsghdr* header = got > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int))) {
    int listener = -1;
    std::memcpy(&listener, CMSG_DATA(header), sizeof listener);
    listener_.reset(listener);
  }
  // One comes, or none: the end of file of a keeper that has no listener to give.
  socket_.reset();
}

void Denials::answer_call() {
  // Without a call to answer the next step would wait for one, even in a jail without processes.
  pollfd event{listener_.get(), POLLIN, 0};
  if (::poll(&event, 1, 0) == 1 && (event.revents & POLLIN) == 0) listener_.reset();
  if ((event.revents & POLLIN) == 0) return;
  seccomp_notif call{};
  // A caller that was killed since then leaves ENOENT.
  if (::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) return;
  seccomp_notif_resp answer{};
  answer.id = call.id;
  answer.error = -EPERM;
  (void)::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_SEND, &answer);
  if (logged_.size() < kMostKinds && logged_.insert(call.data.nr).second) {
    log::warning("machine.denied", {{"name", machine_}, {"call", name_of(call.data.nr)}});
  }
  if (++count_ == kMostDenials) {
    log::warning("machine.denied", {{"name", machine_}, {"calls", count_}, {"reason", "too many"}});
    listener_.reset();
  }
}

}  // namespace mutua::vm
