#include "authority/transfer/notifier.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/unique_fd.h"
#include "trust/mac.h"
#include "trust/random.h"
#include "wire/message.h"
#include "wire/rdata.h"
#include "wire/tsig.h"

namespace mutua::authority {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kLargestReply = 4096;

// One secondary and what it still has to be told.
class Secondary {
 public:
  Secondary(NotifyTarget target, UniqueFd socket, const NotifyTimes& times)
      : target_(std::move(target)), socket_(std::move(socket)), times_(times) {}

  int fd() const { return socket_.get(); }

  // The serial that it shall hear of.
  void want(std::uint32_t serial, SteadyTime now) {
    if (told_ == serial && !wanted_) return;
    if (wanted_ == serial) return;
    wanted_ = serial;
    attempts_ = 0;
    due_ = std::max(now, last_sent_ + times_.pause);
  }

  // When something is to be done; nothing while there is nothing to tell.
  std::optional<SteadyTime> due() const { return wanted_ ? std::optional(due_) : std::nullopt; }

  void send_if_due(const ZoneVersion& version, SteadyTime now, WallTime wall_now) {
    if (!wanted_ || now < due_) return;
    if (attempts_ == times_.attempts) {
      log::warning("notify.unanswered",
                   {{"secondary", target_.address.to_text()}, {"serial", *wanted_}});
      wanted_.reset();
      return;
    }
    const Bytes message = notify(version, wall_now);
    // An error of the address (nobody there, say) is as good as a lost datagram: it comes again.
    [[maybe_unused]] const ssize_t sent =
        ::send(socket_.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    last_sent_ = now;
    due_ = now + times_.first_retry * (1u << attempts_++);
  }

  void receive() {
    std::array<std::uint8_t, kLargestReply> octets;
    while (true) {
      const ssize_t got = ::recv(socket_.get(), octets.data(), octets.size(), MSG_DONTWAIT);
      if (got < 0) return;
      if (acknowledges({octets.data(), static_cast<std::size_t>(got)})) {
        told_ = sent_serial_;
        if (wanted_ == told_) wanted_.reset();
      }
    }
  }

 private:
  // RFC 1996 section 3.7: the new SOA goes along as a hint.
  Bytes notify(const ZoneVersion& version, WallTime wall_now) {
    sent_serial_ = version.serial();
    wanted_ = sent_serial_;
    id_ = static_cast<std::uint16_t>(trust::random_u32());
    wire::Message message;
    message.header.id = id_;
    message.header.opcode = wire::Opcode::notify;
    message.header.authoritative = true;
    message.question.push_back({version.apex(), wire::RRType::soa, wire::RRClass::in});
    const auto soa = version.find(version.apex(), wire::RRType::soa);
    message.answer.push_back(
        {version.apex(), wire::RRType::soa, wire::RRClass::in, soa->ttl, soa->rdatas.front()});
    Bytes bytes = message.to_wire();
    return target_.key ? sign(std::move(bytes), *target_.key, wall_now) : bytes;
  }

  Bytes sign(Bytes message, const wire::TsigKey& key, WallTime wall_now) {
    wire::Tsig fields;
    fields.key_name = key.name;
    // Checked where the configuration was read.
    fields.algorithm = wire::Name::parse(key.algorithm).value_or(wire::Name());
    fields.time_signed = static_cast<std::uint64_t>(wall_now.time_since_epoch().count());
    fields.original_id = id_;
    return wire::sign_tsig(std::move(message), fields, {}, [&](BytesView covered) {
      sent_mac_ = trust::hmac(key.algorithm, key.secret, covered).value_or({});
      return sent_mac_;
    });
  }

  bool acknowledges(BytesView bytes) const {
    const auto message = wire::parse(bytes);
    if (!message.ok() || !message->header.response || message->header.id != id_ ||
        message->header.opcode != wire::Opcode::notify)
      return false;
    if (target_.key && !is_signed(bytes, *message)) return false;
    if (message->header.rcode != wire::Rcode::noerror)
      log::warning("notify.refused", {{"secondary", target_.address.to_text()},
                                      {"rcode", to_text(message->header.rcode)}});
    return true;  // it heard: saying it again would change nothing
  }

  bool is_signed(BytesView bytes, const wire::Message& message) const {
    if (!message.signature_offset || message.signature_type != wire::RRType::tsig) return false;
    const auto tsig = wire::read_tsig(bytes, message);
    if (!tsig.ok() || tsig->key_name != target_.key->name) return false;
    const auto mac = trust::hmac(target_.key->algorithm, target_.key->secret,
                                 wire::tsig_signed_bytes_of(bytes, message, *tsig, sent_mac_));
    return mac.ok() && trust::equal_in_constant_time(*mac, tsig->mac);
  }

  NotifyTarget target_;
  UniqueFd socket_;  // connected: the kernel drops what others send
  NotifyTimes times_;
  std::optional<std::uint32_t> wanted_, told_;
  std::uint32_t sent_serial_ = 0;
  std::uint16_t id_ = 0;
  Bytes sent_mac_;
  unsigned attempts_ = 0;
  SteadyTime due_{}, last_sent_{};
};

class UdpNotifier final : public Notifier {
 public:
  UdpNotifier(std::vector<Secondary> secondaries, UniqueFd wake, const Catalog& catalog,
              const Clock& clock, NotifyTimes times)
      : secondaries_(std::move(secondaries)),
        wake_(std::move(wake)),
        catalog_(catalog),
        clock_(clock),
        times_(times) {}
  ~UdpNotifier() override { stop(); }

  void start() override {
    zone_changed();
    thread_ = std::thread([this] { run(); });
  }

  void stop() override {
    if (!thread_.joinable()) return;
    stopping_.store(true);
    zone_changed();
    thread_.join();
  }

  Result<void> replace(std::vector<NotifyTarget> targets) override {
    auto secondaries = TRY(open(std::move(targets), times_));
    {
      const std::lock_guard lock(mutex_);
      replacement_ = std::move(secondaries);
    }
    zone_changed();
    return {};
  }

  static Result<std::vector<Secondary>> open(std::vector<NotifyTarget> targets,
                                             const NotifyTimes& times) {
    std::vector<Secondary> secondaries;
    for (NotifyTarget& target : targets) {
      UniqueFd socket(::socket(target.address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
      if (!socket) return errno_error(errno, "socket");
      if (::connect(socket.get(), target.address.data(), target.address.size()) != 0)
        return errno_error(errno, "connect to " + target.address.to_text());
      secondaries.emplace_back(std::move(target), std::move(socket), times);
    }
    return secondaries;
  }

  void zone_changed() override {
    const std::uint64_t one = 1;
    // A full counter has woken the thread already.
    [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
  }

 private:
  void run() {
    while (!stopping_.load()) {
      take_replacement();
      std::vector<pollfd> watched{{wake_.get(), POLLIN, 0}};
      for (const Secondary& secondary : secondaries_)
        watched.push_back({secondary.fd(), POLLIN, 0});
      ::poll(watched.data(), watched.size(), wait_milliseconds());
      if ((watched.front().revents & POLLIN) != 0) take_news();
      for (std::size_t i = 0; i < secondaries_.size(); ++i)
        if (watched[i + 1].revents != 0) secondaries_[i].receive();
      const auto version = catalog_.current();
      for (Secondary& secondary : secondaries_)
        secondary.send_if_due(*version, clock_.steady_now(), clock_.wall_now());
    }
  }

  // Those that were told before are told again, perhaps with another key.
  void take_replacement() {
    const std::lock_guard lock(mutex_);
    if (!replacement_) return;
    secondaries_ = *std::exchange(replacement_, std::nullopt);
    for (Secondary& secondary : secondaries_)
      secondary.want(catalog_.current()->serial(), clock_.steady_now());
  }

  void take_news() {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t taken = ::read(wake_.get(), &count, sizeof count);
    const std::uint32_t serial = catalog_.current()->serial();
    for (Secondary& secondary : secondaries_) secondary.want(serial, clock_.steady_now());
  }

  int wait_milliseconds() const {
    std::optional<SteadyTime> first;
    for (const Secondary& secondary : secondaries_)
      if (const auto due = secondary.due()) first = first ? std::min(*first, *due) : *due;
    if (!first) return -1;
    const auto left = std::chrono::ceil<milliseconds>(*first - clock_.steady_now()).count();
    return static_cast<int>(std::clamp<decltype(left)>(left, 0, 60'000));
  }

  std::vector<Secondary> secondaries_;  // the thread's
  const UniqueFd wake_;
  const Catalog& catalog_;
  const Clock& clock_;
  const NotifyTimes times_;
  std::mutex mutex_;
  std::optional<std::vector<Secondary>> replacement_;  // under the mutex
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Notifier>> Notifier::create(std::vector<NotifyTarget> targets,
                                                   const Catalog& catalog, const Clock& clock,
                                                   NotifyTimes times) {
  auto secondaries = TRY(UdpNotifier::open(std::move(targets), times));
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return errno_error(errno, "eventfd");
  return std::unique_ptr<Notifier>(std::make_unique<UdpNotifier>(
      std::move(secondaries), std::move(wake), catalog, clock, times));
}

}  // namespace mutua::authority
