#include "resolver/authorities/zone_client.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "resolver/validation/validator.h"

namespace mutua::resolver {
namespace {

using std::chrono::seconds;
using wire::ExtendedError;
using wire::Rcode;

constexpr std::uint32_t kLongestKeyTtl = 3600;
constexpr seconds kBetweenKeyQuestions{5}, kRememberNoKeys{1};

enum class Signatures { no, wanted };

Bytes query_for(const wire::Question& question, Signatures signatures) {
  wire::Message query;
  // The sender gives it an id. RD stays 0: what the authority does not hold it shall relinquish, not
  // forward.
  query.question.push_back(question);
  query.edns.emplace();
  query.edns->dnssec_ok = signatures == Signatures::wanted;
  return query.to_wire();
}

ZoneAnswer parsed(BytesView octets) {
  auto message = wire::parse(octets);
  if (!message) return Flaw{ExtendedError::invalid_data, message.error().message()};
  return std::move(*message);
}

// Without signatures one can only tell whether it is an answer at all.
ZoneAnswer judge_unsigned(const wire::Question& question, BytesView octets) {
  auto judged = parsed(octets);
  const auto* message = std::get_if<wire::Message>(&judged);
  if (!message) return judged;
  const bool is_answer = message->header.response && message->question.size() == 1 &&
                         message->question.front() == question;
  if (!is_answer) return Flaw{ExtendedError::invalid_data, "an answer to another question"};
  const Rcode rcode = message->header.rcode;
  if (rcode == Rcode::noerror || rcode == Rcode::nxdomain || rcode == Rcode::refused ||
      rcode == Rcode::notauth)
    return judged;
  return Flaw{ExtendedError::not_authoritative,
              question.name.to_text() + ": answered " + to_text(rcode)};
}

ZoneAnswer judge_signed(const wire::Question& question, const ZoneKeys& keys, WallTime now,
                        BytesView octets) {
  auto judged = parsed(octets);
  auto* message = std::get_if<wire::Message>(&judged);
  if (!message) return judged;
  if (auto flaw = validate(question, keys, now, *message)) return *std::move(flaw);
  return judged;
}

ZoneAnswer judge_keys(const TrustAnchors& anchors, WallTime now, BytesView octets) {
  auto judged = parsed(octets);
  const auto* message = std::get_if<wire::Message>(&judged);
  if (!message) return judged;
  auto proven = prove_keys(*message, anchors, now);
  if (auto* flaw = std::get_if<Flaw>(&proven)) return std::move(*flaw);
  return judged;
}

ZoneAnswer message_of(std::variant<Authorities::Response, Flaw> answer) {
  if (auto* flaw = std::get_if<Flaw>(&answer)) return std::move(*flaw);
  return std::get<Authorities::Response>(std::move(answer)).message;
}

// An operator who rolls the key has to tell those who have configured the old one.
void log_unnamed(const ZoneKeys& keys) {
  for (const ZoneKeys::Key& key : keys.all())
    if (!key.is_anchored)
      log::info("trust_anchor.unnamed_key",
                {{"zone", keys.zone().to_text()}, {"key", unsigned{key.tag}}});
}

bool same_keys(const ZoneKeys& a, const ZoneKeys& b) {
  return std::ranges::equal(a.all(), b.all(), {}, &ZoneKeys::Key::dnskey, &ZoneKeys::Key::dnskey);
}

}  // namespace

ZoneClient::ZoneClient(TrustAnchors anchors, Authorities& authorities, const Clock& clock)
    : anchors_(std::move(anchors)), authorities_(authorities), clock_(clock) {}

void ZoneClient::ask(const wire::Question& question, std::function<void(ZoneAnswer)> done) {
  if (!validates()) {
    return authorities_.ask(
        query_for(question, Signatures::no),
        [question](BytesView octets) { return judge_unsigned(question, octets); },
        [done = std::move(done)](auto answer) { done(message_of(std::move(answer))); });
  }
  if (!question.name.is_at_or_below(anchors_.zone()))
    return done(Flaw{ExtendedError::not_authoritative,
                     question.name.to_text() + ": outside the zone, so that nobody signs it"});
  need_keys(Known::will_do, [this, question, done = std::move(done)](auto keys) {
    if (auto* flaw = std::get_if<Flaw>(&keys)) return done(std::move(*flaw));
    ask_signed(question, std::get<Keys>(keys), true, done);
  });
}

void ZoneClient::ask_signed(const wire::Question& question, const Keys& keys, bool may_ask_again,
                            std::function<void(ZoneAnswer)> done) {
  authorities_.ask(
      query_for(question, Signatures::wanted),
      [this, question, keys](BytesView octets) {
        return judge_signed(question, *keys, clock_.wall_now(), octets);
      },
      [this, question, keys, may_ask_again, done = std::move(done)](auto answer) {
        const auto* flaw = std::get_if<Flaw>(&answer);
        {
          const std::lock_guard lock(mutex_);
          ++(flaw ? refused_ : answers_);
        }
        if (!flaw || flaw->code != ExtendedError::dnskey_missing || !may_ask_again)
          return done(message_of(std::move(answer)));
        need_keys(Known::is_outdated,
                  [this, question, keys, done, flaw = *flaw](std::variant<Keys, Flaw> found) {
                    const auto* newer = std::get_if<Keys>(&found);
                    if (!newer || *newer == keys) return done(flaw);
                    ask_signed(question, *newer, false, done);
                  });
      });
}

void ZoneClient::with_keys(KeysDone done) { need_keys(Known::will_do, std::move(done)); }

void ZoneClient::need_keys(Known known, KeysDone done) {
  std::optional<std::variant<Keys, Flaw>> at_hand;
  bool is_first = false;
  {
    const std::lock_guard lock(mutex_);
    const SteadyTime now = clock_.steady_now();
    const bool is_young = have_asked_ && now - asked_at_ < kBetweenKeyQuestions;
    const bool is_good = have_asked_ && now < good_until_;
    if (is_good && (known == Known::will_do || is_young)) {
      at_hand = keys_;
    } else {
      is_first = waiting_.empty();
      waiting_.push_back(std::move(done));
    }
  }
  if (at_hand) return done(*std::move(at_hand));
  if (!is_first) return;
  authorities_.ask(
      query_for({anchors_.zone(), wire::RRType::dnskey, wire::RRClass::in}, Signatures::wanted),
      [this](BytesView octets) { return judge_keys(anchors_, clock_.wall_now(), octets); },
      [this](auto answer) { settle_keys(std::move(answer)); });
}

void ZoneClient::settle_keys(std::variant<Authorities::Response, Flaw> answer) {
  std::variant<ProvenKeys, Flaw> proven = Flaw{};
  if (auto* flaw = std::get_if<Flaw>(&answer)) {
    proven = std::move(*flaw);
  } else {
    const auto& message = std::get<Authorities::Response>(answer).message;
    proven = prove_keys(message, anchors_, clock_.wall_now());
  }
  std::vector<KeysDone> waiting;
  std::variant<Keys, Flaw> keys;
  {
    const std::lock_guard lock(mutex_);
    asked_at_ = clock_.steady_now();
    have_asked_ = true;
    if (auto* good = std::get_if<ProvenKeys>(&proven)) {
      const auto* before = std::get_if<Keys>(&keys_);
      if (!before || !*before || !same_keys(**before, good->keys)) log_unnamed(good->keys);
      good_until_ = asked_at_ + seconds(std::clamp(good->ttl, 1u, kLongestKeyTtl));
      keys_ = std::make_shared<const ZoneKeys>(std::move(good->keys));
    } else if (!std::holds_alternative<Keys>(keys_) || asked_at_ >= good_until_) {
      good_until_ = asked_at_ + kRememberNoKeys;
      keys_ = std::get<Flaw>(proven);
    }
    keys = keys_;
    waiting.swap(waiting_);
  }
  for (auto& done : waiting) done(keys);
}

void ZoneClient::forget_keys() {
  const std::lock_guard lock(mutex_);
  have_asked_ = false;
  keys_ = Keys();
}

ZoneClient::KeyStatus ZoneClient::key_status() const {
  const std::lock_guard lock(mutex_);
  KeyStatus status;
  status.answers = answers_;
  status.refused = refused_;
  if (const auto* keys = std::get_if<Keys>(&keys_)) {
    status.keys = *keys;
  } else {
    status.last_flaw = std::get<Flaw>(keys_).text;
  }
  return status;
}

}  // namespace mutua::resolver
