#include "resolver/mirror/mirror.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/unique_fd.h"
#include "resolver/mirror/mirror_answers.h"
#include "resolver/mirror/mirror_file.h"
#include "stub_client/dns_stream.h"
#include "trust/random.h"
#include "wire/rdata.h"
#include "zone_transfer/stream_verifier.h"

namespace mutua::resolver {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using stub_client::DnsStream;
using wire::RRType;
using zone_transfer::Differences;
using zone_transfer::IncomingTransfer;
using zone_transfer::Received;
using zone_transfer::StreamVerifier;
using zone_transfer::UpToDate;
using zone_transfer::WholeZone;

constexpr seconds kBetweenSaves{60}, kBetweenTouches{10};
constexpr seconds kFirstRetry{1}, kLongestRetry{60}, kLeftOut{60};
constexpr seconds kLeastRefresh{1};
constexpr seconds kConnectPatience{3};

using Shared = std::shared_ptr<const ProvenMirror>;

// The last word of an authority about what the file holds.
std::optional<WallTime> time_of(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return std::nullopt;
  return WallTime(seconds(status.st_mtim.tv_sec));
}

void set_time_of(const std::filesystem::path& file, WallTime time) {
  const timespec at{time.time_since_epoch().count(), 0};
  const timespec times[2]{at, at};
  // Without it the file only seems older than it is.
  [[maybe_unused]] const int done = ::utimensat(AT_FDCWD, file.c_str(), times, 0);
}

class TransferredMirror final : public Mirror {
 public:
  TransferredMirror(MirrorSettings settings, const Clock& clock, UniqueFd cancel)
      : settings_(std::move(settings)),
        zone_(settings_.anchors.zone()),
        clock_(clock),
        cancel_(std::move(cancel)),
        left_out_until_(settings_.authorities.size()) {}
  ~TransferredMirror() override { stop(); }

  void load();
  void start() override {
    thread_ = std::thread([this] { run(); });
  }
  void stop() override;

  std::optional<wire::Message> answer(const wire::Question& question) const override;
  bool looks_aside_for(const wire::Name& name) const override;
  std::optional<SteadyTime> heard_at() const override;
  Status status() const override;
  Result<void> refresh_now() override;

 private:
  // What may be answered from; null where nothing may.
  Shared usable() const;
  Shared present() const {
    const std::lock_guard lock(mutex_);
    return present_;
  }

  void run();
  std::vector<std::size_t> order() const;
  Result<void> refresh_from(std::size_t authority);
  Result<Received> fetch(const SocketAddress& authority, const MirrorZone* have);
  Result<void> take(Received received, const SocketAddress& authority, const Shared& have);
  void publish(ProvenMirror mirror, const SocketAddress& authority, bool is_whole);
  void note_contact();
  void save_if_due();
  seconds refresh_interval() const;

  const MirrorSettings settings_;
  const wire::Name& zone_;
  const Clock& clock_;
  const UniqueFd cancel_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;

  mutable std::mutex mutex_;  // guards these four
  Shared present_;            // null before the first version
  SteadyTime last_contact_{};
  std::string last_failure_;
  bool failure_logged_ = false;

  // The thread's.
  std::vector<SteadyTime> left_out_until_;
  std::size_t next_authority_ = 0;
  std::shared_ptr<const ProvenMirror> saved_;  // what the file holds
  SteadyTime saved_at_{}, touched_at_{};
};

void TransferredMirror::load() {
  const auto heard_at = time_of(settings_.file);
  if (!heard_at) return;
  const WallTime now = clock_.wall_now();
  const WallTime as_of = std::min(now, *heard_at);
  const auto useless = [&](const std::string& cause) {
    log::warning("mirror.not_loaded", {{"file", settings_.file.string()}, {"cause", cause}});
  };
  auto zone = load_mirror(settings_.file, zone_);
  if (!zone) return useless(zone.error().message());
  auto proven = prove_mirror(*std::move(zone), settings_.anchors, as_of, nullptr, stopping_);
  if (const auto* flaw = std::get_if<Flaw>(&proven)) return useless(flaw->text);
  saved_ = std::make_shared<const ProvenMirror>(std::get<ProvenMirror>(std::move(proven)));
  saved_at_ = clock_.steady_now();
  {
    const std::lock_guard lock(mutex_);
    present_ = saved_;
    last_contact_ = saved_at_ - (now - as_of);
  }
  log::info("mirror.loaded", {{"zone", zone_.to_text()},
                              {"serial", saved_->zone->serial()},
                              {"names", saved_->zone->nodes().size()},
                              {"age_s", (now - as_of).count()}});
}

void TransferredMirror::stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true);
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(cancel_.get(), &one, sizeof one);
  thread_.join();
}

// ---------------------------------------------------------------- answering

Shared TransferredMirror::usable() const {
  const std::lock_guard lock(mutex_);
  if (!present_ || clock_.steady_now() - last_contact_ >= settings_.stale_for) return nullptr;
  return present_;
}

std::optional<wire::Message> TransferredMirror::answer(const wire::Question& question) const {
  const Shared mirror = usable();
  const bool is_ours = question.rclass == wire::RRClass::in && question.name.is_at_or_below(zone_);
  if (!mirror || !is_ours) return std::nullopt;
  return answer_from(*mirror->zone, question);
}

bool TransferredMirror::looks_aside_for(const wire::Name& name) const {
  const Shared mirror = usable();
  const auto aside = zone_.child("lookaside");
  const auto inside = aside ? name.under(*aside) : aside;
  return mirror && inside && mirror->zone->find(*inside);
}

std::optional<SteadyTime> TransferredMirror::heard_at() const {
  const bool serves = usable() != nullptr;
  const std::lock_guard lock(mutex_);
  return serves ? std::optional(last_contact_) : std::nullopt;
}

Mirror::Status TransferredMirror::status() const {
  const bool serves = usable() != nullptr;
  const std::lock_guard lock(mutex_);
  Status status;
  status.serves = serves;
  status.last_failure = last_failure_;
  if (!present_) return status;
  status.serial = present_->zone->serial();
  status.names = present_->zone->nodes().size();
  status.by_digest = present_->by_digest;
  status.age = std::chrono::duration_cast<seconds>(clock_.steady_now() - last_contact_);
  status.valid_until = present_->valid_until;
  return status;
}

// ---------------------------------------------------------------- following

void TransferredMirror::run() {
  load();
  seconds retry = kFirstRetry;
  while (!stopping_.load()) {
    const bool followed = refresh_now().ok();
    if (stopping_.load()) break;
    save_if_due();
    const seconds wait = followed ? refresh_interval() : retry;
    retry = followed ? kFirstRetry : std::min(2 * retry, kLongestRetry);
    pollfd watched{cancel_.get(), POLLIN, 0};
    ::poll(&watched, 1, static_cast<int>(milliseconds(wait).count()));
  }
  saved_at_ = {};
  save_if_due();
}

seconds TransferredMirror::refresh_interval() const {
  const Shared have = present();
  const auto soa = wire::parse_soa(have->zone->soa().rdatas.front());
  const seconds asked_for(soa ? soa->refresh : 0);
  return std::max(kLeastRefresh, std::min(settings_.refresh, asked_for));
}

// One after the other has its turn, so that one that lags is found out; those that have failed lately
// come last.
std::vector<std::size_t> TransferredMirror::order() const {
  const std::size_t count = settings_.authorities.size();
  const SteadyTime now = clock_.steady_now();
  std::vector<std::size_t> order(count);
  for (std::size_t i = 0; i < count; ++i) order[i] = (next_authority_ + i) % count;
  std::ranges::stable_sort(order, {}, [&](std::size_t at) { return left_out_until_[at] > now; });
  return order;
}

Result<void> TransferredMirror::refresh_now() {
  std::string problems;
  for (const std::size_t at : order()) {
    if (stopping_.load()) break;
    const auto refreshed = refresh_from(at);
    left_out_until_[at] = refreshed ? SteadyTime{} : clock_.steady_now() + kLeftOut;
    if (refreshed) {
      next_authority_ = (at + 1) % settings_.authorities.size();
      note_contact();
      return {};
    }
    problems += (problems.empty() ? "" : "; ") + settings_.authorities[at].to_text() + ": " +
                refreshed.error().message();
  }
  const std::lock_guard lock(mutex_);
  last_failure_ = problems;
  if (!std::exchange(failure_logged_, true) && !stopping_.load())
    log::warning("mirror.not_refreshed", {{"zone", zone_.to_text()}, {"cause", problems}});
  return Error(problems);
}

Result<void> TransferredMirror::refresh_from(std::size_t at) {
  const SocketAddress& authority = settings_.authorities[at];
  const Shared have = present();
  if (have) {
    auto received = fetch(authority, have->zone.get());
    if (received && std::holds_alternative<UpToDate>(*received)) {
      if (have->valid_until >= clock_.wall_now()) return {};
      received = Error("nothing is newer, but signatures have ended");
    } else if (received) {
      const auto taken = take(*std::move(received), authority, have);
      if (taken) return {};
      received = taken.error();
    }
    log::debug("mirror.differences_useless",
               {{"authority", authority.to_text()}, {"cause", received.error().message()}});
  }
  return take(TRY(fetch(authority, nullptr)), authority, have);
}

Result<Received> TransferredMirror::fetch(const SocketAddress& authority, const MirrorZone* have) {
  const SteadyTime begun = std::chrono::steady_clock::now();
  const SteadyTime end = begun + settings_.transfer_patience;
  DnsStream stream = TRY(DnsStream::connect(authority, begun + kConnectPatience, cancel_.get()));
  wire::Message request;
  request.header.id = static_cast<std::uint16_t>(trust::random_u32());
  request.question.push_back({zone_, have ? RRType::ixfr : RRType::axfr, wire::RRClass::in});
  if (have)
    request.authority.push_back(
        {zone_, RRType::soa, wire::RRClass::in, have->soa().ttl, have->soa().rdatas.front()});
  const auto deadline = [&] {
    return std::min<SteadyTime>(end, std::chrono::steady_clock::now() + settings_.message_patience);
  };
  StreamVerifier verifier(settings_.transfer_key);
  const Bytes signed_request = TRY(verifier.sign_request(request.to_wire(), clock_.wall_now()));
  TRY(stream.send(signed_request, deadline()));
  IncomingTransfer transfer(zone_, request.header.id,
                            have ? std::optional(have->serial()) : std::nullopt, settings_.limits);
  for (bool is_last = false; !is_last;) {
    const Bytes octets = TRY(stream.receive(deadline()));
    const wire::Message message = TRY(wire::parse(octets));
    TRY(verifier.check(octets, message, clock_.wall_now()));
    is_last = TRY(transfer.take(message, octets.size()));
  }
  TRY(verifier.finish());
  return transfer.finish();
}

// Proven whole, then visible; or nothing at all.
Result<void> TransferredMirror::take(Received received, const SocketAddress& authority,
                                     const Shared& have) {
  MirrorZone::Shared zone;
  auto* whole = std::get_if<WholeZone>(&received);
  if (whole) {
    zone = TRY(MirrorZone::create(zone_, std::move(whole->records)));
  } else if (auto* differences = std::get_if<Differences>(&received); differences && have) {
    zone = TRY(have->zone->with(std::move(*differences)));
  } else {
    return Error("nothing was transferred");
  }
  // While the present one is in use there is no way back.
  if (usable() && wire::serial_after(have->zone->serial(), zone->serial()))
    return errorf("serial %u is before %u", zone->serial(), have->zone->serial());
  auto proven = prove_mirror(std::move(zone), settings_.anchors, clock_.wall_now(),
                             whole ? nullptr : have.get(), stopping_);
  if (const auto* flaw = std::get_if<Flaw>(&proven))
    return Error(flaw->text + " (" + to_text(flaw->code) + ")");
  publish(std::get<ProvenMirror>(std::move(proven)), authority, whole != nullptr);
  return {};
}

void TransferredMirror::publish(ProvenMirror mirror, const SocketAddress& authority,
                                bool is_whole) {
  const auto shared = std::make_shared<const ProvenMirror>(std::move(mirror));
  {
    const std::lock_guard lock(mutex_);
    present_ = shared;
  }
  // Small changes are too many to be told of.
  if (is_whole)
    log::info("mirror.taken", {{"zone", zone_.to_text()},
                               {"authority", authority.to_text()},
                               {"serial", shared->zone->serial()},
                               {"names", shared->zone->nodes().size()},
                               {"proven_by", shared->by_digest ? "zonemd" : "signatures"}});
}

void TransferredMirror::note_contact() {
  const SteadyTime now = clock_.steady_now();
  {
    const std::lock_guard lock(mutex_);
    last_contact_ = now;
    last_failure_.clear();
    if (std::exchange(failure_logged_, false))
      log::info("mirror.refreshed_again", {{"zone", zone_.to_text()}});
  }
  save_if_due();
  if (!saved_ || now - touched_at_ < kBetweenTouches) return;
  touched_at_ = now;
  set_time_of(settings_.file, clock_.wall_now());
}

void TransferredMirror::save_if_due() {
  const Shared have = present();
  if (!have || have == saved_) return;
  const SteadyTime now = clock_.steady_now();
  if (saved_at_ != SteadyTime{} && now - saved_at_ < kBetweenSaves) return;
  saved_at_ = now;
  const auto saved = save_mirror(settings_.file, *have->zone);
  if (saved) {
    saved_ = have;
    touched_at_ = {};
  } else {
    log::warning("mirror.not_saved", {{"cause", saved.error().message()}});
  }
}

}  // namespace

Result<std::unique_ptr<Mirror>> Mirror::create(MirrorSettings settings, const Clock& clock) {
  BASE_ASSERT(!settings.anchors.empty() && !settings.authorities.empty());
  UniqueFd cancel(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!cancel) return errno_error(errno, "eventfd");
  std::error_code problem;
  std::filesystem::create_directories(settings.file.parent_path(), problem);
  if (problem) return Error(settings.file.parent_path().string() + ": " + problem.message());
  auto mirror = std::make_unique<TransferredMirror>(std::move(settings), clock, std::move(cancel));
  return std::unique_ptr<Mirror>(std::move(mirror));
}

}  // namespace mutua::resolver
