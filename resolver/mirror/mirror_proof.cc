#include "resolver/mirror/mirror_proof.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "base/parallel.h"
#include "dnssec/nsec.h"
#include "dnssec/rrsig.h"
#include "dnssec/zone_digest.h"
#include "resolver/validation/zone_keys.h"

namespace mutua::resolver {
namespace {

using wire::ExtendedError;
using wire::Name;
using wire::RRset;
using wire::RRType;

// Whose word the records at a node are (RFC 4035 section 2.2).
enum class Speaker { zone, cut, other };

// Told of the nodes in their order, it says whose each is.
class Speakers {
 public:
  explicit Speakers(const Name& apex) : apex_(apex) {}

  Speaker of(const MirrorNode& node) {
    if (end_ && node.owner != *end_ && node.owner.is_at_or_below(*end_)) return Speaker::other;
    end_.reset();
    if (node.owner == apex_) return Speaker::zone;
    const bool is_cut = node.find(RRType::ns) != nullptr;
    if (is_cut || node.find(RRType::dname)) end_ = node.owner;
    return is_cut ? Speaker::cut : Speaker::zone;
  }

 private:
  const Name& apex_;
  std::optional<Name> end_;  // of what the zone speaks for: the latest cut or DNAME
};

bool is_signed_at(Speaker speaker, RRType type) {
  if (type == RRType::rrsig) return false;
  return speaker == Speaker::zone || type == RRType::ds || type == RRType::nsec;
}

bool is_listed_at(Speaker speaker, RRType type) {
  return type == RRType::rrsig || type == RRType::ns || is_signed_at(speaker, type);
}

class Prover {
 public:
  Prover(const MirrorZone& zone, ZoneKeys keys, WallTime now, const ProvenMirror* before,
         const std::atomic<bool>& cancelled)
      : zone_(zone), keys_(std::move(keys)), now_(now), before_(before), cancelled_(cancelled) {}

  // True where a signed digest says that the zone is whole; false where there is none to go by.
  std::variant<bool, Flaw> by_digest();
  std::optional<Flaw> by_signatures();
  std::vector<WallTime> take_times() { return std::move(times_); }

 private:
  std::optional<Flaw> prove_node(const MirrorNode& node, Speaker speaker,
                                 WallTime& valid_until) const;
  std::optional<Flaw> prove_chain() const;
  WallTime proven_before(const MirrorZone::Node& node, std::size_t& at) const;

  const MirrorZone& zone_;
  const ZoneKeys keys_;
  const WallTime now_;
  const ProvenMirror* const before_;
  const std::atomic<bool>& cancelled_;
  std::vector<WallTime> times_;
};

std::variant<bool, Flaw> Prover::by_digest() {
  const RRset* zonemd = zone_.apex_node().find(RRType::zonemd);
  const auto stated = zonemd ? dnssec::stated_digest(*zonemd) : std::nullopt;
  if (!stated) return false;
  Effort effort;
  auto verified = keys_.verify(signed_rrset(zone_.apex_node(), *zonemd), now_, effort);
  if (auto* flaw = std::get_if<Flaw>(&verified)) return std::move(*flaw);
  dnssec::ZoneDigest digest(zone_.apex());
  for (const auto& node : zone_.nodes())
    for (const RRset& rrset : node->rrsets) digest.add(node->owner, rrset);
  if (stated->serial != zone_.serial() || stated->digest != digest.finish())
    return Flaw{ExtendedError::dnssec_bogus, "the zone does not match its ZONEMD"};
  return true;
}

std::optional<Flaw> Prover::by_signatures() {
  Speakers speakers(zone_.apex());
  const auto& nodes = zone_.nodes();
  times_.assign(nodes.size(), WallTime{});
  std::vector<std::pair<std::size_t, Speaker>> to_prove;
  for (std::size_t i = 0, at_before = 0; i < nodes.size(); ++i) {
    const Speaker speaker = speakers.of(*nodes[i]);
    if (speaker == Speaker::other) continue;
    times_[i] = proven_before(nodes[i], at_before);
    if (times_[i] == WallTime{} || times_[i] < now_) to_prove.emplace_back(i, speaker);
  }
  std::mutex mutex;
  std::optional<Flaw> first;  // guarded by it
  std::atomic<bool> has_flaw{false};
  in_parallel(to_prove.size(), [&](std::size_t at) {
    const auto [i, speaker] = to_prove[at];
    if (has_flaw.load() || cancelled_.load()) return;
    auto flaw = prove_node(*nodes[i], speaker, times_[i]);
    if (!flaw || has_flaw.exchange(true)) return;
    const std::lock_guard lock(mutex);
    first = std::move(flaw);
  });
  if (first) return first;
  if (cancelled_.load()) return Flaw{ExtendedError::other, "cancelled"};
  return prove_chain();
}

// Both versions are in the same order, so that `at` only goes forward.
WallTime Prover::proven_before(const MirrorZone::Node& node, std::size_t& at) const {
  if (!before_) return {};
  const auto& nodes = before_->zone->nodes();
  while (at < nodes.size() && nodes[at] != node && nodes[at]->owner < node->owner) ++at;
  return at < nodes.size() && nodes[at] == node ? before_->node_valid_until[at] : WallTime{};
}

std::optional<Flaw> Prover::prove_node(const MirrorNode& node, Speaker speaker,
                                       WallTime& valid_until) const {
  valid_until = WallTime::max();
  for (const RRset& rrset : node.rrsets) {
    if (!is_signed_at(speaker, rrset.type)) continue;
    Effort effort;
    auto verified = keys_.verify(signed_rrset(node, rrset), now_, effort);
    if (auto* flaw = std::get_if<Flaw>(&verified)) return std::move(*flaw);
    const Proof& proof = std::get<Proof>(verified);
    if (proof.labels != dnssec::signed_labels(node.owner))
      return Flaw{ExtendedError::dnssec_bogus,
                  node.owner.to_text() + " " + to_text(rrset.type) + ": from a wildcard"};
    valid_until = std::min(valid_until, proof.expiration);
  }
  return std::nullopt;
}

// Every node that the zone speaks for has an NSEC; each names the next of them, the last the apex, and
// the very types that are there.
std::optional<Flaw> Prover::prove_chain() const {
  const auto flaw_at = [](const MirrorNode& node, const char* text) {
    return Flaw{ExtendedError::nsec_missing, node.owner.to_text() + " NSEC: " + text};
  };
  Speakers speakers(zone_.apex());
  std::optional<Name> expected;
  for (const auto& node : zone_.nodes()) {
    const Speaker speaker = speakers.of(*node);
    if (speaker == Speaker::other) continue;
    if (expected && *expected != node->owner) return flaw_at(*node, "not the next of the chain");
    const RRset* rrset = node->find(RRType::nsec);
    if (!rrset || rrset->rdatas.size() != 1) return flaw_at(*node, "there is not one");
    const auto nsec = dnssec::parse_nsec(rrset->rdatas.front());
    if (!nsec) return flaw_at(*node, "malformed");
    std::size_t present = 0;
    for (const RRset& one : node->rrsets) {
      if (!is_listed_at(speaker, one.type)) continue;
      if (!nsec->lists(one.type)) return flaw_at(*node, "a type is not listed");
      ++present;
    }
    if (nsec->type_count() != present) return flaw_at(*node, "a type that it lists is missing");
    expected = nsec->next;
  }
  if (expected != zone_.apex()) return flaw_at(*zone_.nodes().back(), "names are missing");
  return std::nullopt;
}

// When the signatures of a zone that its digest has proven end: of each RRset the last one, of each
// node the first of those.
std::vector<WallTime> times_of(const MirrorZone& zone, WallTime now) {
  Speakers speakers(zone.apex());
  std::vector<WallTime> times;
  times.reserve(zone.nodes().size());
  for (const auto& node : zone.nodes()) {
    std::map<RRType, WallTime> ends;
    const RRset* signatures = node->find(RRType::rrsig);
    if (speakers.of(*node) == Speaker::other) signatures = nullptr;
    for (std::size_t i = 0; signatures && i < signatures->rdatas.size(); ++i) {
      const auto rrsig = dnssec::parse_rrsig(signatures->rdatas[i]);
      if (!rrsig) continue;
      WallTime& end = ends[rrsig->covered];
      end = std::max(end, dnssec::moment_of(rrsig->expiration, now));
    }
    WallTime first = ends.empty() ? WallTime{} : WallTime::max();
    for (const auto& [type, end] : ends) first = std::min(first, end);
    times.push_back(first);
  }
  return times;
}

// What other keys have signed is to be proven again.
bool has_same_keys(const MirrorZone& a, const MirrorZone& b) {
  const RRset* mine = a.apex_node().find(RRType::dnskey);
  const RRset* theirs = b.apex_node().find(RRType::dnskey);
  return mine && theirs && *mine == *theirs;
}

}  // namespace

std::variant<ProvenMirror, Flaw> prove_mirror(MirrorZone::Shared zone, const TrustAnchors& anchors,
                                              WallTime now, const ProvenMirror* before,
                                              const std::atomic<bool>& cancelled) {
  const RRset* dnskeys = zone->apex_node().find(RRType::dnskey);
  if (!dnskeys)
    return Flaw{ExtendedError::dnskey_missing,
                zone->apex().to_text() + " has no DNSKEY: it is not signed"};
  auto proven = prove_keys(signed_rrset(zone->apex_node(), *dnskeys), anchors, now);
  if (auto* flaw = std::get_if<Flaw>(&proven)) return std::move(*flaw);

  if (before && !has_same_keys(*zone, *before->zone)) before = nullptr;
  Prover prover(*zone, std::get<ProvenKeys>(proven).keys, now, before, cancelled);
  auto whole = prover.by_digest();
  if (auto* flaw = std::get_if<Flaw>(&whole)) return std::move(*flaw);
  ProvenMirror mirror;
  mirror.by_digest = std::get<bool>(whole);
  if (mirror.by_digest) {
    mirror.node_valid_until = times_of(*zone, now);
  } else {
    if (auto flaw = prover.by_signatures()) return *std::move(flaw);
    mirror.node_valid_until = prover.take_times();
  }
  mirror.valid_until = WallTime::max();
  for (const WallTime one : mirror.node_valid_until)
    if (one != WallTime{}) mirror.valid_until = std::min(mirror.valid_until, one);
  mirror.zone = std::move(zone);
  return mirror;
}

}  // namespace mutua::resolver
