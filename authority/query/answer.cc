#include "authority/query/answer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "authority/query/lookup.h"
#include "authority/query/request.h"
#include "authority/query/response_writer.h"
#include "dnssec/nsec3.h"
#include "wire/message.h"

namespace mutua::authority {
namespace {

using wire::Rcode;
using wire::RRType;

constexpr unsigned kMostHops = 16;  // CNAME and DNAME records followed in one answer
constexpr std::array<std::uint8_t, 10> kLookasideLabel{9,   'l', 'o', 'o', 'k',
                                                       'a', 's', 'i', 'd', 'e'};

// Whether signatures and denials go along (RFC 4035 section 3.1): DO was set.
enum class Proof { unwanted, wanted };

// Answers one well-formed question about a name of the zone.
class ZoneAnswer {
 public:
  // `name` is what is looked up; it is the question's name unless it is looked aside.
  ZoneAnswer(const ZoneVersion& version, const FoldedName& name, RRType type, Proof proof,
             BytesView question_name, ResponseWriter& writer)
      : version_(version),
        type_(type),
        proves_(proof == Proof::wanted && version.is_signed()),
        writer_(writer),
        name_(name),
        name_is_question_(name.size() == question_name.size()),
        owner_{kQuestionNameOffset, false, question_name} {}

  // `node`: what the version has at the name.
  Rcode run(const ZoneNode* node) {
    for (unsigned hop = 0; hop < kMostHops; ++hop) {
      if (hop > 0) node = version_.node(name_.wire());
      const Lookup lookup = look_up(version_, name_, node, type_);
      switch (lookup.kind) {
        case Lookup::Kind::name_error:
          return negative(Rcode::nxdomain, lookup);
        case Lookup::Kind::delegation:
          return refer(lookup);
        case Lookup::Kind::dname:
          if (const auto done = substitute(lookup)) return *done;
          break;
        case Lookup::Kind::found:
        case Lookup::Kind::wildcard:
          if (const auto done = answer_from(lookup)) return *done;
          break;
      }
      if (!name_.is_at_or_below(version_.folded_apex().wire(),
                                version_.folded_apex().label_count()))
        return Rcode::noerror;  // the client goes on elsewhere
    }
    return Rcode::noerror;
  }

 private:
  // From the node that speaks for the name. Nothing where a CNAME was followed.
  std::optional<Rcode> answer_from(const Lookup& lookup) {
    const ZoneNode& node = *lookup.node;
    OwnerPlace owner = owner_;
    owner.is_zone_owner = name_is_question_ && lookup.kind == Lookup::Kind::found;
    const ReadyRRset* ready = type_ == RRType::any ? smallest_of(node) : node.ready(type_);
    if (ready) {
      if (owner.is_zone_owner &&
          (proves_ ? writer_.put_signed_answer(*ready) : writer_.put_whole_answer(*ready))) {
        writer_.set_authoritative();
        return Rcode::noerror;
      }
      if (!put(Section::answer, node, *ready, owner) || !prove_wildcard(lookup)) return truncate();
      writer_.set_authoritative();
      add_addresses(*ready, Glue::optional);
      return Rcode::noerror;
    }
    ready = type_ == RRType::any ? nullptr : node.ready(RRType::cname);
    if (!ready) return negative(Rcode::noerror, lookup);
    if (!put(Section::answer, node, *ready, owner)) return truncate();
    writer_.set_authoritative();
    const bool goes_on = prove_wildcard(lookup);
    follow(ready->records().front());
    return goes_on ? std::nullopt : std::optional(truncate());
  }

  // The name goes on as the target, which is the RDATA of the record just written.
  void follow(BytesView target) {
    const bool whole = name_.read(target);
    BASE_ASSERT(whole);
    name_is_question_ = false;
    owner_ = {last_is_as_prepared_ ? last_rrset_at_ + kPreparedRdataAt : 0, false, target};
  }

  // RFC 6672 section 3.2: the DNAME, a CNAME made from it, and on with the new name.
  std::optional<Rcode> substitute(const Lookup& lookup) {
    const ReadyRRset& ready = *lookup.node->ready(RRType::dname);
    const RRsetView dname = ready.records();
    if (!put(Section::answer, *lookup.node, ready, place_of(lookup))) return truncate();
    writer_.set_authoritative();
    const BytesView prefix = name_.wire().first(name_.suffix_offset(lookup.labels));
    FoldedName target;
    if (!target.join(prefix, dname.front())) return Rcode::yxdomain;
    const std::size_t record_at = writer_.position();
    if (!writer_.put_record(Section::answer, RRType::cname, dname.ttl(), target.wire(), owner_))
      return truncate();
    const std::size_t owner_size = owner_.at != 0 ? 2 : owner_.name.size();
    name_ = target;
    name_is_question_ = false;
    owner_ = {record_at + owner_size + kFixedSize, false, name_.wire()};
    return std::nullopt;
  }

  Rcode refer(const Lookup& lookup) {
    const ReadyRRset& ready = *lookup.node->ready(RRType::ns);
    cut_ = lookup.node;
    if (!put(Section::authority, *lookup.node, ready, place_of(lookup))) return truncate();
    const bool proven = !proves_ || prove_delegation(*lookup.node, place_of(lookup));
    if (!proven || !add_addresses(ready, Glue::required)) return truncate();
    return Rcode::noerror;
  }

  Rcode negative(Rcode rcode, const Lookup& lookup) {
    writer_.set_authoritative();
    const std::size_t apex_at =
        kQuestionNameOffset + name_.suffix_offset(version_.folded_apex().label_count());
    const OwnerPlace written_out{0, false, version_.apex().wire()};
    const bool fits =
        name_is_question_
            ? writer_.put_prepared(Section::authority, version_.negative_soa(), apex_at)
            : writer_.put(Section::authority, version_.negative_soa_rrset(), written_out);
    if (!fits || (proves_ && !prove_denial(lookup))) truncate();
    return rcode;
  }

  // The signatures of the RRset of this type at a node, under the owner that the RRset was given.
  bool put_signatures(Section section, const ZoneNode& node, RRType type, std::uint32_t ttl,
                      const OwnerPlace& owner) {
    const auto signatures = node.find(RRType::rrsig);
    if (!signatures) return true;
    for (const BytesView rdata : *signatures) {
      if (rdata.size() < 2 || static_cast<RRType>(load_u16(rdata.data())) != type) continue;
      if (!writer_.put_record(section, RRType::rrsig, ttl, rdata, owner)) return false;
    }
    return true;
  }

  // The NSEC of a node, once, with its signature.
  bool put_nsec(const ZoneNode& node) {
    const auto nsec = node.find(RRType::nsec);
    if (!nsec || std::exchange(last_nsec_, &node) == &node) return true;
    const OwnerPlace owner{0, false, node.given_owner()};
    return writer_.put(Section::authority, *nsec, owner) &&
           put_signatures(Section::authority, node, RRType::nsec, nsec->ttl(), owner);
  }

  // Of a name in wire format; nullptr for none.
  const ZoneNode* node_of(BytesView name) const {
    FoldedName folded;
    return !name.empty() && folded.read(name) ? version_.node(folded.wire()) : nullptr;
  }

  // The NSEC that shows that there is no such name.
  bool deny(const FoldedName& name) {
    const ZoneNode* node = node_of(version_.nsec_owners().at_or_before(OrderKey(name)));
    return !node || put_nsec(*node);
  }

  // RFC 4035 section 3.1.3.3: a wildcard speaks only where the name itself is not. By NSEC3 the
  // name below the closest encloser is denied (RFC 5155 section 7.2.6).
  bool prove_wildcard(const Lookup& lookup) {
    if (!proves_ || lookup.kind != Lookup::Kind::wildcard) return true;
    return uses_hashes() ? put_nsec3(name_.suffix(lookup.labels)) : deny(name_);
  }

  bool uses_hashes() const { return version_.denial() == Denial::nsec3; }

  // The NSEC3 that matches a name, or covers it where there is none of its own; once.
  bool put_nsec3(BytesView folded) {
    const Nsec3Place place = nsec3_of(folded);
    if (!place.node || std::ranges::find(shown_nsec3s_, place.node) != shown_nsec3s_.end())
      return true;
    shown_nsec3s_[shown_count_++ % shown_nsec3s_.size()] = place.node;
    const auto nsec3 = place.node->find(RRType::nsec3);
    const OwnerPlace owner{0, false, place.node->given_owner()};
    return writer_.put(Section::authority, *nsec3, owner) &&
           put_signatures(Section::authority, *place.node, RRType::nsec3, nsec3->ttl(), owner);
  }

  struct Nsec3Place {
    const ZoneNode* node;  // of the NSEC3
    bool is_match;
  };
  Nsec3Place nsec3_of(BytesView folded) const {
    const auto label = dnssec::nsec3_label(dnssec::nsec3_hash(folded, version_.nsec3_salt()));
    FoldedName hashed;
    if (!hashed.join(label, version_.folded_apex().wire())) return {nullptr, false};
    const NameOrder& owners = version_.nsec3_owners();
    BytesView owner = owners.at_or_before(OrderKey(hashed));
    if (owner.empty()) owner = owners.last();  // the ring's last covers what comes before its first
    const ZoneNode* node = node_of(owner);
    return {node, node && std::ranges::equal(node->folded_owner(), hashed.wire())};
  }

  // RFC 5155 section 7.2.1: the closest encloser is there, and the name below it is not.
  bool prove_encloser(unsigned encloser_labels) {
    return put_nsec3(name_.suffix(encloser_labels)) && put_nsec3(name_.suffix(encloser_labels + 1));
  }

  // Sections 7.2.2 (no such name), 7.2.3 (no such type) and 7.2.5 (nor at the wildcard).
  bool prove_denial_by_hashes(const Lookup& lookup) {
    if (lookup.kind == Lookup::Kind::found) return put_nsec3(name_.wire());
    const bool by_wildcard = lookup.kind == Lookup::Kind::wildcard;
    const unsigned encloser = by_wildcard ? lookup.labels - 1 : lookup.labels;
    constexpr std::array<std::uint8_t, 2> kAsterisk{1, '*'};
    FoldedName wildcard;
    return prove_encloser(encloser) &&
           (!wildcard.join(kAsterisk, name_.suffix(encloser)) || put_nsec3(wildcard.wire()));
  }

  // Sections 7.2.7 and, where the zone of another's signing opts out, the closest encloser that has
  // an NSEC3.
  bool prove_insecure_cut(const FoldedName& cut) {
    if (nsec3_of(cut.wire()).is_match) return put_nsec3(cut.wire());
    unsigned labels = cut.label_count();
    while (--labels > version_.folded_apex().label_count())
      if (nsec3_of(cut.suffix(labels)).is_match) break;
    return put_nsec3(cut.suffix(labels)) && put_nsec3(cut.suffix(labels + 1));
  }

  // Sections 3.1.3.1, 3.1.3.2 and 3.1.3.4: the SOA's signature; that the type is not there, or the
  // name, or neither the name nor a wildcard.
  bool prove_denial(const Lookup& lookup) {
    const ZoneNode& apex = *version_.node(version_.apex());
    const OwnerPlace apex_place{0, false, version_.apex().wire()};
    if (!put_signatures(Section::authority, apex, RRType::soa, version_.negative_soa_rrset().ttl,
                        apex_place))
      return false;
    if (uses_hashes()) return prove_denial_by_hashes(lookup);
    const bool has_nsec = lookup.node && lookup.node->ready(RRType::nsec);
    if (has_nsec && !put_nsec(*lookup.node)) return false;
    if (lookup.kind == Lookup::Kind::found) return has_nsec || deny(name_);
    if (!deny(name_)) return false;
    if (lookup.kind == Lookup::Kind::wildcard) return true;
    constexpr std::array<std::uint8_t, 2> kAsterisk{1, '*'};
    FoldedName wildcard;
    return !wildcard.join(kAsterisk, name_.suffix(lookup.labels)) || deny(wildcard);
  }

  // Section 3.1.4: what leads on to the zone below, or that it is not signed.
  bool prove_delegation(const ZoneNode& cut, const OwnerPlace& owner) {
    const auto ds = cut.find(RRType::ds);
    if (!ds && uses_hashes()) {
      FoldedName name;
      const bool whole = name.read(cut.folded_owner());
      BASE_ASSERT(whole);
      return prove_insecure_cut(name);
    }
    if (!ds) return put_nsec(cut);
    return writer_.put(Section::authority, *ds, owner) &&
           put_signatures(Section::authority, cut, RRType::ds, ds->ttl(), owner);
  }

  enum class Glue { optional, required };

  // The addresses of the RRset's targets: one family of all before the other of any, so that where
  // room ends nobody is left without. False where an address is left out without which the answer is
  // of no use: the glue of a nameserver inside the delegated zone (RFC 9471).
  bool add_addresses(const ReadyRRset& ready, Glue glue) {
    const std::size_t rrset_at = last_rrset_at_;
    const bool as_prepared = last_is_as_prepared_;
    for (const RRType type : {RRType::a, RRType::aaaa}) {
      for (const ReadyRRset::Target& target : ready.targets()) {
        const BytesView target_name = ready.target_name(target);
        const ZoneNode* node = version_.node(target_name);
        const ReadyRRset* addresses = node ? node->ready(type) : nullptr;
        if (!addresses) continue;
        const bool in_rdata = as_prepared && target.rdata_name_at != 0;
        const OwnerPlace owner{in_rdata ? rrset_at + target.rdata_name_at : 0, false, target_name};
        if (put(Section::additional, *node, *addresses, owner)) continue;
        return glue == Glue::optional || !is_below_cut(target_name);
      }
    }
    return true;
  }

  bool is_below_cut(BytesView name) const {
    const BytesView cut = cut_->folded_owner();
    return name.size() >= cut.size() &&
           std::equal(cut.begin(), cut.end(), name.end() - static_cast<std::ptrdiff_t>(cut.size()));
  }

  // RFC 8482 section 4.1.
  static const ReadyRRset* smallest_of(const ZoneNode& node) {
    const ReadyRRset* smallest = nullptr;
    for (unsigned i = 0; i < node.all_ready().size(); ++i) {
      const ReadyRRset& ready = node.all_ready().at(i);
      if (!smallest || ready.octets_size < smallest->octets_size) smallest = &ready;
    }
    return smallest;
  }

  // The owner of an ancestor's records: the tail of the question's name, as long as that is asked.
  OwnerPlace place_of(const Lookup& lookup) const {
    const BytesView name = lookup.node->given_owner();
    if (!name_is_question_) return {0, false, name};
    return {kQuestionNameOffset + name_.suffix_offset(lookup.labels), true, name};
  }

  // An RRset, and its signatures where they are wanted; addresses may do without.
  bool put(Section section, const ZoneNode& node, const ReadyRRset& ready,
           const OwnerPlace& owner) {
    const std::size_t at = writer_.position();
    const bool fits = ResponseWriter::fits_prepared(ready, owner)
                          ? writer_.put_prepared(section, ready, owner.at)
                          : writer_.put(section, ready.records(), owner);
    if (section != Section::additional) {
      last_rrset_at_ = at;
      // RDATA is the same size in every form but for its pointers, so that it is found from the
      // start only where the records are as large as prepared.
      last_is_as_prepared_ = writer_.position() - at == ready.octets_size;
    }
    if (!fits || !proves_) return fits;
    const bool is_referral = section == Section::authority;  // the NS of a cut is never signed
    const bool whole =
        is_referral || put_signatures(section, node, ready.type, ready.records().ttl(), owner);
    return whole || section == Section::additional;
  }

  Rcode truncate() {
    writer_.truncate();
    return Rcode::noerror;
  }

  static constexpr std::size_t kFixedSize = 10;        // TYPE, CLASS, TTL, RDLENGTH
  static constexpr std::size_t kPreparedRdataAt = 12;  // behind a pointer and the fixed part

  const ZoneVersion& version_;
  const RRType type_;
  const bool proves_;
  ResponseWriter& writer_;
  FoldedName name_;
  bool name_is_question_;
  OwnerPlace owner_;  // of name_
  std::size_t last_rrset_at_ = 0;
  bool last_is_as_prepared_ = false;
  const ZoneNode* last_nsec_ = nullptr;
  std::array<const ZoneNode*, 3> shown_nsec3s_{};  // a denial has three at most
  unsigned shown_count_ = 0;
  const ZoneNode* cut_ = nullptr;
};

// What a question of this type and class gets before any name is looked at, if anything.
std::optional<Rcode> reject_type(const Request& request) {
  if (request.rclass != static_cast<std::uint16_t>(wire::RRClass::in)) return Rcode::refused;
  switch (request.type) {
    case RRType::any:
      return std::nullopt;
    case RRType::axfr:
    case RRType::ixfr:
      return Rcode::refused;
    case RRType::maila:
    case RRType::mailb:
      return Rcode::notimp;
    default:
      break;
  }
  if (wire::is_meta(request.type)) return Rcode::formerr;
  return std::nullopt;
}

// PROTOCOL.md, "Names": the records of www.example.org live at www.example.org.lookaside.<apex>.
// Only data answers: for whatever else, the name's own DNS speaks.
bool answer_aside(const ZoneVersion& version, const Request& request, ResponseWriter& writer) {
  FoldedName aside;
  if (request.name.label_count() == 0) return false;
  if (!aside.join(kLookasideLabel, version.folded_apex().wire()) || !version.node(aside.wire()))
    return false;
  const FoldedName subtree = aside;
  const BytesView labels = request.name.wire().first(request.name.size() - 1);
  if (!aside.join(labels, subtree.wire())) return false;
  const ZoneNode* node = version.node(aside.wire());
  if (!node || request.type == RRType::any || !node->ready(request.type)) return false;
  // Under a name that is not the zone's, a signature of the zone would mean nothing.
  ZoneAnswer(version, aside, request.type, Proof::unwanted,
             request.question.first(request.name.size()), writer)
      .run(node);
  return true;
}

bool asks_for_soa_of(const ZoneVersion& zone, const Request& request) {
  return (request.type == RRType::soa || request.type == RRType::ixfr) &&
         std::ranges::equal(request.name.wire(), zone.folded_apex().wire());
}

// A response that is to be signed leaves room for a TSIG like the one that came, with a time in it.
std::size_t response_limit(const Request& request, Transport transport) {
  constexpr std::size_t kTsigTime = 6;
  const std::size_t taken = transport == Transport::udp
                                ? std::min<std::size_t>(request.udp_size, kUdpResponseSize)
                                : kTcpResponseSize;
  if (request.tsig_size == 0) return taken;
  // Header, the longest question, and an OPT with everything.
  constexpr std::size_t kSmallest = 320;
  return std::max(kSmallest, taken - std::min(taken, request.tsig_size + kTsigTime));
}

}  // namespace

void Answering::begin(BytesView message, const ZoneVersion& version, const ZoneVersion* list) {
  version_ = &version;
  stage_ = Stage::done;
  is_in_zone_ = false;
  parse_request(message, request_);
  if (request_.kind != RequestKind::query) return;
  const FoldedName& apex = version.folded_apex();
  is_in_zone_ = request_.name.is_at_or_below(apex.wire(), apex.label_count());
  if (!is_in_zone_ && list && asks_for_soa_of(*list, request_)) {
    version_ = list;
    is_in_zone_ = true;
  }
  if (!is_in_zone_) return;
  hash_ = name_hash(request_.name.wire());
  cursor_ = version_->begin_look_up(hash_);
  stage_ = Stage::look_up;
}

bool Answering::advance() {
  switch (stage_) {
    case Stage::look_up:
      if (cursor_.step()) return true;
      stage_ = cursor_.candidate() ? Stage::node : Stage::done;
      return advance();
    case Stage::node:
      cursor_.candidate()->all_ready().prefetch_index();
      stage_ = Stage::block;
      return true;
    case Stage::block:
      cursor_.candidate()->all_ready().prefetch(request_.type);
      stage_ = request_.dnssec_ok ? Stage::signatures : Stage::done;
      return true;
    case Stage::signatures:
      cursor_.candidate()->all_ready().prefetch_signed(request_.type);
      stage_ = Stage::done;
      return true;
    case Stage::done:
      break;
  }
  return false;
}

void advance_together(std::span<Answering> answerings) {
  for (bool waits = true; waits;) {
    waits = false;
    for (Answering& one : answerings) waits |= one.advance();
  }
}

const ZoneNode* Answering::node() const {
  if (cursor_.is_absent()) return nullptr;
  const ZoneNode* candidate = cursor_.candidate();
  if (!candidate) return version_->node(request_.name.wire(), hash_);
  return candidate->is_named(request_.name.wire(), hash_) ? candidate : nullptr;
}

// RFC 1995 section 2: an IXFR by UDP is answered with the newest SOA where the differences do not
// fit into a datagram. Nobody looks whether they would: the client sees that there is something
// newer, and comes by TCP.
bool Answering::put_newest_soa(ResponseWriter& writer) const {
  const bool is_asked_for = request_.type == RRType::ixfr && is_in_zone_ &&
                            request_.name.size() == version_->folded_apex().size() &&
                            request_.rclass == static_cast<std::uint16_t>(wire::RRClass::in);
  if (!is_asked_for || version_->is_expired()) return false;
  writer.set_authoritative();
  return writer.put_prepared(Section::answer, *node()->ready(RRType::soa), kQuestionNameOffset);
}

Answered Answering::finish(Transport transport, Recursion recursion, std::span<std::uint8_t> out,
                           const FullCookie* cookie) const {
  const Request& request = request_;
  if (request.kind == RequestKind::silent) return {Answered::Kind::silent, 0};
  if (request.kind == RequestKind::update) return {Answered::Kind::update, 0};

  ResponseWriter writer(out, response_limit(request, transport), request,
                        {cookie, transport == Transport::tls && request.wants_padding});
  if (recursion == Recursion::offered) writer.set_recursion_available();
  const auto respond = [&](Rcode rcode) {
    const auto kind = request.tsig_size != 0 ? Answered::Kind::to_sign : Answered::Kind::response;
    return Answered{kind, writer.finish(rcode)};
  };

  if (request.kind == RequestKind::malformed) return respond(Rcode::formerr);
  if (request.kind == RequestKind::other) return respond(Rcode::notimp);
  if (request.kind == RequestKind::cookie) return respond(Rcode::noerror);
  if (request.edns_version != 0) return respond(Rcode::badvers);
  if (transport == Transport::udp && put_newest_soa(writer)) return respond(Rcode::noerror);
  if (const auto rcode = reject_type(request)) {
    const bool is_transfer = request.type == RRType::axfr || request.type == RRType::ixfr;
    if (*rcode == Rcode::refused) writer.set_extended_error(wire::ExtendedError::prohibited);
    const Answered rejected = respond(*rcode);
    return {is_transfer && transport != Transport::udp ? Answered::Kind::transfer : rejected.kind,
            rejected.size};
  }

  if (is_in_zone_ && version_->is_expired()) {
    writer.set_extended_error(wire::ExtendedError::not_ready);
    return respond(Rcode::servfail);
  }
  if (is_in_zone_) {
    const Proof proof = request.dnssec_ok ? Proof::wanted : Proof::unwanted;
    const BytesView question_name = request.question.first(request.name.size());
    return respond(ZoneAnswer(*version_, request.name, request.type, proof, question_name, writer)
                       .run(node()));
  }
  if (answer_aside(*version_, request, writer)) return respond(Rcode::noerror);
  writer.set_extended_error(wire::ExtendedError::not_authoritative);
  const Answered refused = respond(Rcode::refused);
  if (refused.kind == Answered::Kind::to_sign) return refused;
  return {Answered::Kind::not_ours, refused.size};
}

Answered Answering::finish_short(Short why, std::span<std::uint8_t> out,
                                 const FullCookie* cookie) const {
  ResponseWriter writer(out, response_limit(request_, Transport::udp), request_, {cookie, false});
  if (why == Short::truncated) writer.truncate();
  return {Answered::Kind::response,
          writer.finish(why == Short::truncated ? Rcode::noerror : Rcode::badcookie)};
}

Answered answer(BytesView message, Transport transport, Recursion recursion,
                const ZoneVersion& version, std::span<std::uint8_t> out) {
  Answering answering;
  answering.begin(message, version);
  return answering.finish(transport, recursion, out);
}

}  // namespace mutua::authority
