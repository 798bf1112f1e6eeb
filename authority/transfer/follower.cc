#include "authority/transfer/follower.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <thread>
#include <utility>

#include "authority/access/refusal.h"
#include "authority/access/tsig_check.h"
#include "authority/transfer/received_changes.h"
#include "authority/transfer/stream_signature.h"
#include "base/log.h"
#include "base/replaceable.h"
#include "base/unique_fd.h"
#include "stub_client/dns_stream.h"
#include "trust/random.h"
#include "zone_transfer/stream_verifier.h"

namespace mutua::authority {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using stub_client::DnsStream;
using wire::RRType;
using zone_transfer::IncomingTransfer;
using zone_transfer::Received;
using zone_transfer::StreamVerifier;
using zone_transfer::UpToDate;
using zone_transfer::WholeZone;

// What stands in the catalog before there is a zone: it answers nothing.
Result<std::shared_ptr<const ZoneVersion>> nothing_yet(const wire::Name& zone) {
  const wire::Soa soa{zone, zone, 0, 0, 0, 0, 0};
  std::vector<OwnedRRset> records{{zone, {RRType::soa, 0, {wire::make_soa(soa)}}},
                                  {zone, {RRType::ns, 0, {to_bytes(zone.wire())}}}};
  return ZoneVersion::expired(*TRY(ZoneVersion::create(zone, std::move(records))));
}

Bytes refusal_of(const wire::Message& request, const Refusal& refusal) {
  wire::Message response = request.response(refusal.rcode);
  if (request.edns) {
    response.edns.emplace();
    response.edns->options.push_back(wire::make_extended_error(refusal.code, refusal.text));
  }
  return response.to_wire();
}

// Takes one answer of any number of messages from a primary. One request at a time.
class Exchange {
 public:
  Exchange(DnsStream& stream, const Primary& primary, const FollowerConfig& config,
           const Clock& clock, SteadyTime end)
      : stream_(stream), verifier_(primary.key), config_(config), clock_(clock), end_(end) {}

  Result<void> ask(const wire::Message& request) {
    const Bytes bytes = TRY(verifier_.sign_request(request.to_wire(), clock_.wall_now()));
    return stream_.send(bytes, deadline());
  }

  struct Message {
    wire::Message message;
    std::size_t size;
  };
  Result<Message> next() {
    const Bytes bytes = TRY(stream_.receive(deadline()));
    wire::Message message = TRY(wire::parse(bytes));
    TRY(verifier_.check(bytes, message, clock_.wall_now()));
    return Message{std::move(message), bytes.size()};
  }

  Result<void> finish() const { return verifier_.finish(); }

 private:
  // By the real clock: it is the network's patience, not the zone's.
  SteadyTime deadline() const {
    return std::min<SteadyTime>(end_, std::chrono::steady_clock::now() + config_.message_patience);
  }

  DnsStream& stream_;
  StreamVerifier verifier_;
  const FollowerConfig& config_;
  const Clock& clock_;
  SteadyTime end_;
};

class TcpFollower final : public Follower {
 public:
  TcpFollower(ZoneStore& store, wire::Name zone, FollowerConfig config, const Clock& clock,
              UniqueFd wake, UniqueFd cancel)
      : store_(store),
        zone_(std::move(zone)),
        primaries_(config.primaries),
        config_(std::move(config)),
        clock_(clock),
        wake_(std::move(wake)),
        cancel_(std::move(cancel)) {}
  ~TcpFollower() override { stop(); }

  Result<void> load() {
    StoredZone stored = TRY(store_.load());
    if (!stored.rrsets.empty()) {
      present_ = TRY(ZoneVersion::create(zone_, std::move(stored.rrsets)));
      for (ChangeSet& change : TRY(store_.recent_changes())) history_.add(std::move(change));
    }
    catalog_ = std::make_unique<Catalog>(present_ ? present_ : TRY(nothing_yet(zone_)));
    is_expired_ = !present_;
    last_contact_ = clock_.steady_now();
    next_look_ = last_contact_;
    return {};
  }

  Catalog& catalog() override { return *catalog_; }
  const ChangeHistory& history() const override { return history_; }

  void start() override {
    thread_ = std::thread([this] { run(); });
  }

  void stop() override {
    if (!thread_.joinable()) return;
    stopping_.store(true);
    signal(cancel_);
    signal(wake_);
    thread_.join();
  }

  Bytes answer(BytesView bytes, const SocketAddress& source) override;
  void replace_primaries(std::vector<Primary> primaries) override {
    primaries_.replace(std::move(primaries));
    signal(wake_);
  }
  Result<void> refresh_now() override;

 private:
  static void signal(const UniqueFd& event) {
    const std::uint64_t one = 1;
    // A full counter has woken everybody already.
    [[maybe_unused]] const ssize_t written = ::write(event.get(), &one, sizeof one);
  }

  void run();
  void wait_for_news() const;
  void look();
  void expire_if_due();
  wire::Soa soa() const;
  seconds bounded(std::uint32_t wait) const {
    return std::clamp(seconds(wait), config_.least_wait, config_.longest_wait);
  }

  Result<void> refresh_from(const Primary& primary);
  Result<Received> fetch(const Primary& primary, RRType type, SteadyTime end);
  Result<void> take(Received received, const Primary& primary);
  wire::Message question(RRType type) const;
  Bytes acknowledge(BytesView bytes, const wire::Message& request, const SocketAddress& source);

  ZoneStore& store_;
  const wire::Name zone_;
  Replaceable<std::vector<Primary>> primaries_;
  const FollowerConfig config_;
  const Clock& clock_;
  const UniqueFd wake_, cancel_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;

  std::unique_ptr<Catalog> catalog_;
  ChangeHistory history_;
  // The thread's.
  std::shared_ptr<const ZoneVersion> present_;  // what is stored; nothing before the first transfer
  bool is_expired_ = true;                      // what is published answers nothing
  SteadyTime last_contact_{}, next_look_{};
};

wire::Soa TcpFollower::soa() const {
  if (!present_) return {};
  auto soa = wire::parse_soa(present_->find(zone_, RRType::soa)->rdatas.front());
  BASE_ASSERT(soa.ok());
  return *soa;
}

void TcpFollower::run() {
  while (!stopping_.load()) {
    wait_for_news();
    if (stopping_.load()) return;
    look();
    expire_if_due();
  }
}

// Until somebody signals or the next look is due.
void TcpFollower::wait_for_news() const {
  const auto left = std::chrono::ceil<milliseconds>(next_look_ - clock_.steady_now()).count();
  pollfd watched{wake_.get(), POLLIN, 0};
  ::poll(&watched, 1, static_cast<int>(std::clamp<decltype(left)>(left, 0, 60'000)));
  std::uint64_t count = 0;
  const bool has_news = ::read(wake_.get(), &count, sizeof count) > 0;
  if (!has_news || stopping_.load()) return;
  // NOTIFYs in quick succession share a look.
  pollfd cancelled{cancel_.get(), POLLIN, 0};
  ::poll(&cancelled, 1, static_cast<int>(config_.least_pause.count()));
  [[maybe_unused]] const ssize_t more = ::read(wake_.get(), &count, sizeof count);
}

void TcpFollower::look() {
  if (const auto refreshed = refresh_now(); !refreshed)
    log::warning("transfer.failed",
                 {{"zone", zone_.to_text()}, {"error", refreshed.error().message()}});
}

Result<void> TcpFollower::refresh_now() {
  std::string problems;
  bool reached = false;
  const auto primaries = primaries_.get();
  for (const Primary& primary : *primaries) {
    const std::uint32_t before = present_ ? present_->serial() : 0;
    const auto refreshed = refresh_from(primary);
    if (refreshed) reached = true;
    if (refreshed && present_->serial() != before) break;
    if (!refreshed)
      problems += (problems.empty() ? "" : "; ") + primary.address.to_text() + ": " +
                  refreshed.error().message();
  }
  const SteadyTime now = clock_.steady_now();
  if (reached) last_contact_ = now;
  next_look_ = now + bounded(reached ? soa().refresh : soa().retry);
  if (!reached) return Error(problems);
  return {};
}

void TcpFollower::expire_if_due() {
  if (is_expired_ || clock_.steady_now() < last_contact_ + seconds(soa().expire)) return;
  log::error("zone.expired", {{"zone", zone_.to_text()}, {"serial", present_->serial()}});
  catalog_->publish(ZoneVersion::expired(*present_));
  catalog_->reclaim();
  is_expired_ = true;
}

wire::Message TcpFollower::question(RRType type) const {
  wire::Message message;
  message.header.id = static_cast<std::uint16_t>(trust::random_u32());
  message.question.push_back({zone_, type, wire::RRClass::in});
  if (type != RRType::ixfr) return message;
  const auto soa = present_->find(zone_, RRType::soa);
  message.authority.push_back(
      {zone_, RRType::soa, wire::RRClass::in, soa->ttl, soa->rdatas.front()});
  return message;
}

// Without asking for the SOA first: an IXFR is answered with it where nothing is newer, and its answer
// is signed, which that to a plain question need not be.
Result<void> TcpFollower::refresh_from(const Primary& primary) {
  const SteadyTime end = std::chrono::steady_clock::now() + config_.transfer_patience;
  if (present_) {
    auto taken = fetch(primary, RRType::ixfr, end);
    if (taken && std::holds_alternative<UpToDate>(*taken)) {
      if (std::exchange(is_expired_, false)) catalog_->publish(present_);
      return {};
    }
    if (taken) {
      const auto done = take(*std::move(taken), primary);
      if (done) return done;
      taken = done.error();
    }
    log::warning("transfer.differences_useless", {{"zone", zone_.to_text()},
                                                  {"primary", primary.address.to_text()},
                                                  {"error", taken.error().message()}});
  }
  return take(TRY(fetch(primary, RRType::axfr, end)), primary);
}

Result<Received> TcpFollower::fetch(const Primary& primary, RRType type, SteadyTime end) {
  DnsStream stream = TRY(DnsStream::connect(
      primary.address, std::chrono::steady_clock::now() + config_.message_patience, cancel_.get()));
  Exchange exchange(stream, primary, config_, clock_, end);
  const wire::Message request = question(type);
  TRY(exchange.ask(request));
  IncomingTransfer transfer(zone_, request.header.id,
                            type == RRType::ixfr ? std::optional(present_->serial()) : std::nullopt,
                            config_.limits);
  for (bool is_last = false; !is_last;) {
    const auto [message, size] = TRY(exchange.next());
    is_last = TRY(transfer.take(message, size));
  }
  TRY(exchange.finish());
  return transfer.finish();
}

// Durable, then visible; or nothing at all.
Result<void> TcpFollower::take(Received received, const Primary& primary) {
  const bool is_whole = std::holds_alternative<WholeZone>(received);
  Followed followed = TRY(follow(present_.get(), zone_, std::move(received)));
  if (present_ && !wire::serial_after(followed.version->serial(), present_->serial()))
    return errorf("serial %u is not after %u", followed.version->serial(), present_->serial());
  Transaction transaction;
  transaction.changes = std::move(followed.changes);
  const auto expected = present_ ? std::optional(present_->serial()) : std::nullopt;
  if (TRY(store_.commit(expected, transaction)) == CommitOutcome::conflict)
    return Error("the database is another authority's, too: a secondary has its own");
  const bool is_first = !present_;
  present_ = std::move(followed.version);
  if (!is_first)
    for (ChangeSet& change : transaction.changes) history_.add(std::move(change));
  catalog_->publish(present_);
  catalog_->reclaim();
  is_expired_ = false;
  log::info("transfer.taken", {{"zone", zone_.to_text()},
                               {"primary", primary.address.to_text()},
                               {"serial", present_->serial()},
                               {"whole", is_whole ? "yes" : "no"},
                               {"rrsets", present_->rrset_count()}});
  if (config_.published) config_.published();
  return {};
}

Bytes TcpFollower::answer(BytesView bytes, const SocketAddress& source) {
  const auto header = wire::parse_header(bytes);
  if (!header || header->response) return {};
  const auto request = wire::parse(bytes);
  if (!request) {
    wire::Message only;
    only.header = *header;
    return refusal_of(only, {wire::Rcode::formerr, wire::ExtendedError::other, {}});
  }
  if (header->opcode == wire::Opcode::notify) return acknowledge(bytes, *request, source);
  if (header->opcode == wire::Opcode::update)
    return refusal_of(*request, {wire::Rcode::refused, wire::ExtendedError::prohibited,
                                 "this is a secondary: updates go to the primary"});
  return refusal_of(*request, {wire::Rcode::notimp, wire::ExtendedError::not_supported, {}});
}

// RFC 1996 section 3.10: from a primary only. Its address alone is no proof over UDP, but all that it
// brings about is a look at the primaries.
Bytes TcpFollower::acknowledge(BytesView bytes, const wire::Message& request,
                               const SocketAddress& source) {
  const auto refuse = [&](Refusal refusal) {
    log::debug("notify.refused", {{"source", source.to_text()}, {"reason", refusal.text}});
    return refusal_of(request, refusal);
  };
  if (request.question.size() != 1 || request.question.front().type != RRType::soa)
    return refuse({wire::Rcode::formerr, wire::ExtendedError::other, "malformed"});
  if (request.question.front().name != zone_)
    return refuse({wire::Rcode::notauth, wire::ExtendedError::not_authoritative, "not our zone"});
  const auto primaries = primaries_.get();
  const auto from = std::ranges::find_if(*primaries, [&](const Primary& primary) {
    return std::ranges::equal(primary.address.address_octets(), source.address_octets());
  });
  if (from == primaries->end())
    return refuse({wire::Rcode::refused, wire::ExtendedError::prohibited, "not a primary"});

  wire::Message response = request.response(wire::Rcode::noerror);
  response.header.authoritative = true;
  if (!from->key) {
    signal(wake_);
    return response.to_wire();
  }
  if (!request.signature_offset || request.signature_type != RRType::tsig)
    return refuse({wire::Rcode::refused, wire::ExtendedError::prohibited, "not signed"});
  std::vector<wire::TsigKey> keys;  // of all primaries at this address
  for (const Primary& primary : *primaries)
    if (primary.key &&
        std::ranges::equal(primary.address.address_octets(), source.address_octets()))
      keys.push_back(*primary.key);
  auto checked = check_tsig({bytes, request, source, false}, keys, clock_.wall_now());
  auto* failed = std::get_if<Unauthenticated>(&checked);
  auto signature = failed ? std::move(failed->signature)
                          : std::optional(std::move(std::get<CheckedTsig>(checked).signature));
  if (failed) response.header.rcode = failed->refusal.rcode;
  if (!failed) signal(wake_);
  if (!signature) return response.to_wire();
  return StreamSignature(*std::move(signature))
      .sign(response.to_wire(), clock_.wall_now())
      .value_or({});
}

}  // namespace

Result<std::unique_ptr<Follower>> Follower::create(ZoneStore& store, const wire::Name& zone,
                                                   FollowerConfig config, const Clock& clock) {
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  UniqueFd cancel(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake || !cancel) return errno_error(errno, "eventfd");
  auto follower = std::make_unique<TcpFollower>(store, zone, std::move(config), clock,
                                                std::move(wake), std::move(cancel));
  TRY(follower->load());
  return std::unique_ptr<Follower>(std::move(follower));
}

}  // namespace mutua::authority
