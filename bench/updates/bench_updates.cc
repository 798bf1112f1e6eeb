// bench_updates: a client of DNS UPDATE that costs less than the servers it loads.
//
//   bench_updates tsig|sig0 ADDRESS:PORT ZONE IN_FLIGHT SECONDS          so many under way at a time
//   bench_updates visible ADDRESS:PORT ZONE COUNT                        from the answer to the zone
//   bench_updates bad ADDRESS:PORT ZONE RATE SECONDS                     signatures that do not hold
//   bench_updates paced ADDRESS:PORT QUERIES RATE SECONDS ZONE UPDATES   questions at a steady rate,
//                                                                        and so many updates a second
//
// By TSIG each update adds an SRV record at a name of its own (key `upd`, the secret below); by
// SIG(0) each of 64 owners replaces the address at its own name, which it claims first. One thread;
// it prints one JSON object.

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/durable_file.h"
#include "base/socket_address.h"
#include "base/unique_fd.h"
#include "support/update_client.h"

namespace mutua {
namespace {

using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::duration<double, std::micro>;

constexpr std::string_view kKeyName = "upd";
constexpr std::string_view kSecret = "0123456789abcdef0123456789abcdef";
constexpr unsigned kOwners = 64;
constexpr auto kPatience = std::chrono::seconds(1);  // then an update counts as lost
constexpr int kSocketBuffer = 4 << 20;
constexpr std::size_t kLargestQueryFile = std::size_t{1} << 30;
constexpr unsigned kBadSources = 64;

Result<UniqueFd> open_connected(const SocketAddress& server, const SocketAddress* from = nullptr) {
  UniqueFd fd(::socket(server.family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno_error(errno, "socket");
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kSocketBuffer, sizeof kSocketBuffer);
  if (from && ::bind(fd.get(), from->data(), from->size()) != 0) return errno_error(errno, "bind");
  if (::connect(fd.get(), server.data(), server.size()) != 0)
    return errno_error(errno, "connect " + server.to_text());
  return fd;
}

// A datagram, once one comes within the time; empty otherwise.
Bytes receive(int socket, std::chrono::microseconds wait) {
  pollfd ready{socket, POLLIN, 0};
  const timespec limit{wait.count() / 1'000'000, wait.count() % 1'000'000 * 1000};
  if (::ppoll(&ready, 1, &limit, nullptr) <= 0) return {};
  std::array<std::uint8_t, 4096> buffer;
  const ssize_t size = ::recv(socket, buffer.data(), buffer.size(), 0);
  if (size < 12) return {};
  return to_bytes(BytesView(buffer).first(static_cast<std::size_t>(size)));
}

double percentile(std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  std::sort(sorted.begin(), sorted.end());
  return sorted[std::min(sorted.size() - 1,
                         static_cast<std::size_t>(share * static_cast<double>(sorted.size())))];
}

// Makes the updates.
class Updates {
 public:
  explicit Updates(std::string zone) : zone_(std::move(zone)) {}

  Bytes by_tsig(std::uint16_t id) {
    const std::uint64_t number = number_++;
    test::UpdateBuilder update(zone_);
    update.message().header.id = id;
    update.add("n" + std::to_string(first_) + "-" + std::to_string(number) + ".upd." + zone_ +
               " 60 IN SRV 0 0 " + std::to_string(1 + number % 60000) + " ns1." + zone_);
    return sign(update);
  }

  Bytes by_owner(std::uint16_t id, bool spoilt = false) {
    const std::uint64_t number = number_++;
    const unsigned which = static_cast<unsigned>(number % kOwners);
    test::UpdateBuilder update(zone_);
    update.message().header.id = id;
    update.remove_rrset(owner(which), wire::RRType::a);
    update.add(owner(which) + " 60 IN A 10." + std::to_string(number >> 16 & 255) + "." +
               std::to_string(number >> 8 & 255) + "." + std::to_string(number & 255));
    Bytes message = test::sign_sig0(update.unsigned_bytes(), keys_[which], owner(which),
                                    system_clock().wall_now());
    if (spoilt) message.back() ^= 1;
    return message;
  }

  Result<void> claim(int socket) {
    for (unsigned i = 0; i < kOwners; ++i) {
      keys_.push_back(TRY(trust::PrivateKey::generate(trust::Algorithm::ed25519)));
      test::UpdateBuilder update(zone_);
      update.add_key(owner(i), keys_.back().public_key());
      const Bytes message = test::sign_sig0(update.unsigned_bytes(), keys_.back(), owner(i),
                                            system_clock().wall_now());
      ::send(socket, message.data(), message.size(), 0);
      const Bytes answer = receive(socket, kPatience);
      if (answer.empty() || (answer[3] & 15) != 0) return Error("a claim was refused");
    }
    return {};
  }

  Bytes sign(const test::UpdateBuilder& update) const {
    return test::sign_tsig(update.unsigned_bytes(), kKeyName, as_bytes(kSecret),
                           system_clock().wall_now());
  }
  const std::string& zone() const { return zone_; }
  // A value that no other run has.
  std::string unique(const std::string& word, unsigned number) const {
    return word + std::to_string(first_) + "-" + std::to_string(number);
  }

 private:
  std::string owner(unsigned which) const {
    return "o" + std::to_string(first_) + "-" + std::to_string(which) + "." + zone_;
  }

  const std::string zone_;
  // Runs against one server do not meet.
  const std::int64_t first_ = Clock::now().time_since_epoch().count() / 1'000'000 % 1'000'000'000;
  std::uint64_t number_ = 0;
  std::vector<trust::PrivateKey> keys_;
};

// A closed loop.
Result<void> load(const SocketAddress& server, Updates updates, bool by_owner, unsigned in_flight,
                  double seconds) {
  const UniqueFd socket = TRY(open_connected(server));
  if (by_owner) TRY(updates.claim(socket.get()));
  std::vector<Clock::time_point> sent_at(65536);
  std::vector<double> delays;
  std::uint64_t good = 0, failed = 0, lost = 0;
  unsigned under_way = 0;
  std::uint16_t id = 0;
  auto progress = Clock::now();
  std::puts("counting");
  std::fflush(stdout);
  const auto start = Clock::now();
  const auto end =
      start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  for (auto now = start; now < end || under_way > 0; now = Clock::now()) {
    while (now < end && under_way < in_flight) {
      const Bytes message = by_owner ? updates.by_owner(++id) : updates.by_tsig(++id);
      sent_at[id] = Clock::now();
      if (::send(socket.get(), message.data(), message.size(), 0) < 0) break;
      ++under_way;
    }
    for (Bytes answer = receive(socket.get(), std::chrono::microseconds(200)); !answer.empty();
         answer = receive(socket.get(), std::chrono::microseconds(0))) {
      progress = Clock::now();
      delays.push_back(Microseconds(progress - sent_at[load_u16(answer.data())]).count());
      ((answer[3] & 15) == 0 ? good : failed) += 1;
      if (under_way > 0) --under_way;
    }
    if (under_way > 0 && Clock::now() - progress > kPatience) {
      lost += std::exchange(under_way, 0u);
      progress = Clock::now();
    }
  }
  const double took = std::chrono::duration<double>(progress - start).count();
  std::printf(
      "{\"good\": %llu, \"failed\": %llu, \"lost\": %llu, \"seconds\": %.6f, \"p50_us\": %.1f, "
      "\"p99_us\": %.1f}\n",
      static_cast<unsigned long long>(good), static_cast<unsigned long long>(failed),
      static_cast<unsigned long long>(lost), took, percentile(delays, 0.5),
      percentile(delays, 0.99));
  return {};
}

// Asks until a response contains `wanted`; how many questions that took.
Result<unsigned> ask_until(int socket, const Bytes& question, std::string_view wanted) {
  const auto begun = Clock::now();
  for (unsigned asked = 1;; ++asked) {
    ::send(socket, question.data(), question.size(), 0);
    const Bytes response = receive(socket, kPatience);
    if (as_text(response).find(wanted) != std::string_view::npos) return asked;
    if (Clock::now() - begun > kPatience) return Error("a change did not become visible");
  }
}

// From each answer to the first response that shows the change; and how long the same question
// takes when it is asked again: what is left of the first without the change.
Result<void> measure_visibility(const SocketAddress& server, Updates updates, unsigned count) {
  const UniqueFd socket = TRY(open_connected(server));
  std::vector<double> delays, again, acknowledged;
  unsigned late = 0;
  std::puts("counting");
  std::fflush(stdout);
  for (unsigned i = 0; i < count; ++i) {
    test::UpdateBuilder update(updates.zone());
    const std::string owner = "visible." + updates.zone();
    update.remove_rrset(owner, wire::RRType::txt);
    const std::string value = updates.unique("v", i);
    update.add(owner + " 60 IN TXT " + value);
    const Bytes message = updates.sign(update);
    const auto begun = Clock::now();
    ::send(socket.get(), message.data(), message.size(), 0);
    const Bytes answer = receive(socket.get(), kPatience);
    const auto answered = Clock::now();
    if (answer.empty() || (answer[3] & 15) != 0) return Error("an update was refused");
    acknowledged.push_back(Microseconds(answered - begun).count());
    wire::Message question;
    question.question.push_back({test::name(owner), wire::RRType::txt, wire::RRClass::in});
    const Bytes asked = question.to_wire();
    const std::string wanted = static_cast<char>(value.size()) + value;  // a character-string
    if (TRY(ask_until(socket.get(), asked, wanted)) > 1) ++late;
    const auto seen = Clock::now();
    delays.push_back(Microseconds(seen - answered).count());
    TRY(ask_until(socket.get(), asked, wanted));
    again.push_back(Microseconds(Clock::now() - seen).count());
  }
  std::printf(
      "{\"p50_us\": %.1f, \"p99_us\": %.1f, \"again_p50_us\": %.1f, \"again_p99_us\": %.1f, "
      "\"late\": %u, \"ack_p50_us\": %.1f, \"ack_p99_us\": %.1f}\n",
      percentile(delays, 0.5), percentile(delays, 0.99), percentile(again, 0.5),
      percentile(again, 0.99), late, percentile(acknowledged, 0.5), percentile(acknowledged, 0.99));
  return {};
}

// Calls `send_one` at a rate and `between` in the pauses.
void pace(double rate, double seconds, const std::function<void()>& send_one,
          const std::function<void()>& between) {
  const auto start = Clock::now();
  std::uint64_t sent = 0;
  for (double passed = 0; passed < seconds;
       passed = std::chrono::duration<double>(Clock::now() - start).count()) {
    for (; static_cast<double>(sent) < passed * rate; ++sent) send_one();
    between();
  }
}

Result<void> send_bad(const SocketAddress& server, Updates updates, double rate, double seconds) {
  std::vector<UniqueFd> sockets;
  for (unsigned i = 0; i < kBadSources; ++i) {
    const std::array<std::uint8_t, 4> octets{127, 0, 1, static_cast<std::uint8_t>(1 + i)};
    const SocketAddress from = TRY(SocketAddress::from_octets(octets, 0));
    sockets.push_back(TRY(open_connected(server, &from)));
  }
  TRY(updates.claim(sockets.front().get()));
  std::vector<Bytes> messages;
  for (unsigned i = 0; i < 1024; ++i)
    messages.push_back(updates.by_owner(static_cast<std::uint16_t>(i), true));
  std::puts("counting");
  std::fflush(stdout);
  std::uint64_t sent = 0;
  pace(
      rate, seconds,
      [&] {
        const Bytes& message = messages[sent % messages.size()];
        ::send(sockets[sent++ % sockets.size()].get(), message.data(), message.size(), 0);
      },
      [] { ::usleep(200); });
  std::printf("{\"sent\": %llu}\n", static_cast<unsigned long long>(sent));
  return {};
}

// Messages that are sent at a steady rate, and how long their answers take: until the kernel had
// them, for this program may be waiting for its processor.
class PacedMessages {
 public:
  static Result<PacedMessages> open(const SocketAddress& server) {
    PacedMessages messages;
    messages.socket_ = TRY(open_connected(server));
    const int on = 1;
    if (::setsockopt(messages.socket_.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0)
      return errno_error(errno, "SO_TIMESTAMPNS");
    return messages;
  }

  void send(Bytes& message) {
    const auto id = static_cast<std::uint16_t>(sent_++);
    store_u16(message.data(), id);
    sent_at_[id] = WallClock::now();
    ::send(socket_.get(), message.data(), message.size(), MSG_DONTWAIT);
  }

  void collect() {
    while (const auto came = take_answer())
      delays_.push_back(
          Microseconds(*came - sent_at_[load_u16(header_.data())].time_since_epoch()).count());
  }

  std::uint64_t sent() const { return sent_; }
  std::uint64_t refused() const { return refused_; }
  std::uint64_t lost() const { return sent_ - delays_.size(); }
  double delay(double share) { return percentile(delays_, share); }

 private:
  using WallClock = std::chrono::system_clock;

  std::optional<std::chrono::nanoseconds> take_answer() {
    iovec part{header_.data(), header_.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(timespec))> control;
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (::recvmsg(socket_.get(), &message, MSG_DONTWAIT) < 12) return {};
    const cmsghdr* const stamp = CMSG_FIRSTHDR(&message);
    if (!stamp || stamp->cmsg_type != SCM_TIMESTAMPNS) return {};
    const int rcode = header_[3] & 15;
    if (rcode != 0 && rcode != kNameError) ++refused_;
    timespec came;
    std::memcpy(&came, CMSG_DATA(stamp), sizeof came);
    return std::chrono::seconds(came.tv_sec) + std::chrono::nanoseconds(came.tv_nsec);
  }

  static constexpr int kNameError = 3;

  UniqueFd socket_;
  std::array<std::uint8_t, 16> header_{};
  std::vector<WallClock::time_point> sent_at_ = std::vector<WallClock::time_point>(65536);
  std::vector<double> delays_;
  std::uint64_t sent_ = 0, refused_ = 0;
};

// Both by one thread, the updates signed before: a second generator would take the processor of the
// questions in bursts, and the server would be blamed.
Result<void> ask_paced(const SocketAddress& server, const char* path, double rate, double seconds,
                       Updates updates, double update_rate) {
  auto questions = TRY(PacedMessages::open(server));
  auto changes = TRY(PacedMessages::open(server));
  const Bytes file = TRY(read_file(path, kLargestQueryFile));
  std::vector<Bytes> signed_updates;
  for (double i = 0; i < update_rate * seconds; ++i)
    signed_updates.push_back(updates.by_tsig(static_cast<std::uint16_t>(signed_updates.size())));
  std::size_t at = 0;
  Bytes query;
  std::puts("counting");
  std::fflush(stdout);
  pace(
      rate, seconds,
      [&] {
        if (at + 2 > file.size()) at = 0;
        const std::size_t size = load_u16(file.data() + at);
        query = to_bytes(BytesView(file).subspan(at + 2, size));
        at += 2 + size;
        questions.send(query);
        const double due = static_cast<double>(questions.sent()) / rate * update_rate;
        if (changes.sent() < signed_updates.size() && static_cast<double>(changes.sent()) < due)
          changes.send(signed_updates[changes.sent()]);
      },
      [&] {
        questions.collect();
        changes.collect();
      });
  for (const auto end = Clock::now() + std::chrono::milliseconds(200); Clock::now() < end;) {
    questions.collect();
    changes.collect();
  }
  std::printf(
      "{\"asked\": %llu, \"lost\": %llu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
      "\"updates\": %llu, \"updates_failed\": %llu, \"ack_p50_us\": %.1f, \"ack_p99_us\": %.1f}\n",
      static_cast<unsigned long long>(questions.sent()),
      static_cast<unsigned long long>(questions.lost()), questions.delay(0.5),
      questions.delay(0.99), questions.delay(0.999),
      static_cast<unsigned long long>(changes.sent()),
      static_cast<unsigned long long>(changes.lost() + changes.refused()), changes.delay(0.5),
      changes.delay(0.99));
  return {};
}

Result<void> run(int count, char** words) {
  const std::string mode = count > 1 ? words[1] : "";
  if (count < 5) return Error("usage: see the head of bench_updates.cc");
  const SocketAddress server = TRY(SocketAddress::parse(words[2], 0));
  const double fourth = std::strtod(words[4], nullptr);
  if (mode == "visible")
    return measure_visibility(server, Updates(words[3]), static_cast<unsigned>(fourth));
  if (count < 6) return Error("usage: see the head of bench_updates.cc");
  const double seconds = std::strtod(words[5], nullptr);
  if (mode == "bad") return send_bad(server, Updates(words[3]), fourth, seconds);
  if (mode == "paced") {
    if (count < 8) return Error("usage: see the head of bench_updates.cc");
    return ask_paced(server, words[3], fourth, seconds, Updates(words[6]),
                     std::strtod(words[7], nullptr));
  }
  if (mode != "tsig" && mode != "sig0") return Error("no such mode: " + mode);
  return load(server, Updates(words[3]), mode == "sig0", static_cast<unsigned>(fourth), seconds);
}

}  // namespace
}  // namespace mutua

int main(int argc, char** argv) {
  const auto done = mutua::run(argc, argv);
  if (done.ok()) return 0;
  std::fprintf(stderr, "bench_updates: %s\n", done.error().message().c_str());
  return 1;
}
