#include "peer/vm/qemu/qmp.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <cerrno>
#include <cstring>

namespace mutua::vm::qemu {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kMostUnreadBytes = 64 << 10;
constexpr std::size_t kMostTextBytes = 400;
constexpr std::size_t kDeepest = 16;

// A text within nested objects; empty where it is not.
std::string text_at(const json::object& object, std::initializer_list<const char*> path) {
  const json::object* at = &object;
  for (const char* name : path) {
    const json::value* found = at->if_contains(name);
    if (!found) return {};
    if (const auto* text = found->if_string()) {
      return std::string(text->data(), std::min(text->size(), kMostTextBytes));
    }
    at = found->if_object();
    if (!at) return {};
  }
  return {};
}

}  // namespace

Result<void> Qmp::open(Deadline deadline) {
  const std::string greeting = TRY(read_line(deadline));
  if (!greeting.starts_with("{\"QMP\"")) return errorf("QEMU: not a greeting");
  return execute("qmp_capabilities", "{}", deadline);
}

Result<void> Qmp::execute(std::string_view command, std::string_view arguments, Deadline deadline,
                          int descriptor) {
  std::string text = "{\"id\":" + std::to_string(++command_) + ",\"execute\":\"";
  text.append(command).append("\",\"arguments\":").append(arguments).append("}\n");
  iovec bytes{text.data(), text.size()};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> space{};
  if (descriptor >= 0) {
    message.msg_control = space.data();
    message.msg_controllen = space.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  // Commands are short and QEMU has answered the one before: the socket's buffer is empty.
  if (::sendmsg(socket_.get(), &message, MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) {
    return errno_error(errno, "QEMU: send");
  }
  if (command == "migrate" || command == "migrate-incoming") migration_ = "begun";
  for (;;) {
    const std::string line = TRY(read_line(deadline));
    if (TRY(understand(line)) == Line::answer) break;
  }
  if (failure_.empty()) return {};
  return errorf("QEMU: %s: %s", std::string(command).c_str(), failure_.c_str());
}

Result<void> Qmp::await_migration(Deadline deadline) {
  while (!has_migrated()) {
    const std::string line = TRY(read_line(deadline));
    (void)TRY(understand(line));
  }
  if (migration_ == "completed") return {};
  return errorf("QEMU: the device state's transfer %s", migration_.c_str());
}

Result<void> Qmp::cancel_migration(Deadline deadline) {
  if (migration_.empty() || has_migrated()) return {};
  TRY(execute("migrate_cancel", "{}", deadline));
  const auto ended = await_migration(deadline);
  return has_migrated() ? Result<void>() : ended;
}

bool Qmp::has_migrated() const {
  return migration_ == "completed" || migration_ == "failed" || migration_ == "cancelled";
}

void Qmp::drain() {
  for (;;) {
    const auto end = unread_.find('\n');
    if (end != std::string::npos) {
      (void)understand(unread_.substr(0, end));
      unread_.erase(0, end + 1);
      continue;
    }
    const auto more = receive();
    if (!more.ok()) socket_.reset();
    if (!more.ok() || !*more) return;
  }
}

// False when nothing is there yet.
Result<bool> Qmp::receive() {
  if (unread_.size() >= kMostUnreadBytes) return errorf("QEMU: an endless line");
  std::array<char, 4096> buffer;
  const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (got < 0) return errno_error(errno, "QEMU: receive");
  if (got == 0) return errorf("QEMU: it has ended");
  unread_.append(buffer.data(), static_cast<std::size_t>(got));
  return true;
}

Result<std::string> Qmp::read_line(Deadline deadline) {
  for (;;) {
    const auto end = unread_.find('\n');
    if (end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    if (TRY(receive())) continue;
    const auto left =
        std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now()).count();
    if (left <= 0) return errorf("QEMU: no answer in time");
    pollfd readable[] = {{socket_.get(), POLLIN, 0}, {ended_, POLLIN, 0}};
    if (::poll(readable, 2, static_cast<int>(left)) <= 0) continue;
    // An answer that came before the end counts.
    if (readable[0].revents == 0) return errorf("QEMU: it has ended");
  }
}

Result<Qmp::Line> Qmp::understand(const std::string& line) {
  json::error_code failure;
  json::parse_options options;
  options.max_depth = kDeepest;
  const json::value value = json::parse(line, failure, {}, options);
  const json::object* const object = failure ? nullptr : value.if_object();
  if (!object) return errorf("QEMU: a malformed answer");
  const std::string event = text_at(*object, {"event"});
  if (event == "MIGRATION") migration_ = text_at(*object, {"data", "status"});
  if (event == "SHUTDOWN") shutdown_reason_ = text_at(*object, {"data", "reason"});
  if (!event.empty()) return Line::other;
  const json::value* const id = object->if_contains("id");
  const auto* const number = id ? id->if_int64() : nullptr;
  if (!number || static_cast<std::uint64_t>(*number) != command_) return Line::other;
  failure_ = object->contains("return") ? std::string() : text_at(*object, {"error", "desc"});
  if (failure_.empty() && !object->contains("return")) failure_ = "refused";
  return Line::answer;
}

}  // namespace mutua::vm::qemu
