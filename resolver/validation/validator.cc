#include "resolver/validation/validator.h"

#include <algorithm>

#include "dnssec/nsec.h"
#include "dnssec/nsec3.h"
#include "dnssec/rrsig.h"
#include "wire/rdata.h"

namespace mutua::resolver {
namespace {

using wire::ExtendedError;
using wire::Name;
using wire::Rcode;
using wire::Record;
using wire::RRType;

constexpr unsigned kLongestChain = 8;        // aliases
constexpr std::size_t kMostNsecs = 8;        // a denial needs three
constexpr std::size_t kMostAdditional = 64;  // RRsets

class Judgement {
 public:
  Judgement(const wire::Question& question, const ZoneKeys& keys, WallTime now,
            const wire::Message& response)
      : question_(question),
        keys_(keys),
        now_(now),
        rcode_(response.header.rcode),
        answer_(signed_rrsets(response.answer)),
        authority_(signed_rrsets(response.authority)),
        additional_(signed_rrsets(response.additional)),
        denial_(prove_nsecs()) {}

  std::optional<Flaw> run();
  void leave_proven(wire::Message& response) {
    response.header.rcode = rcode_;
    response.answer = std::move(proven_answer_);
    response.authority = std::move(proven_authority_);
    response.additional = std::move(proven_additional_);
  }

 private:
  enum class Step { end, alias };

  Denial prove_nsecs();
  std::optional<Flaw> prove(const SignedRRset& rrset, Proof& proof);
  std::optional<Flaw> prove_into(const SignedRRset& rrset, std::vector<Record>& out);
  std::optional<Flaw> step(Name& name, Step& next);
  std::optional<Flaw> follow(const SignedRRset& cname, Name& name);
  std::optional<Flaw> substitute(const SignedRRset& dname, Name& name);
  std::optional<Flaw> prove_absence(const Name& name);
  bool is_delegated(const Name& name);
  const SignedRRset* dname_above(const Name& name) const;
  void keep_soa();
  void prove_additional();

  const wire::Question& question_;
  const ZoneKeys& keys_;
  const WallTime now_;
  Rcode rcode_;
  Effort effort_;
  std::optional<Flaw> nsec_flaw_;  // of one that might have proven something
  std::uint32_t nsec_ttl_ = UINT32_MAX;
  std::vector<Record> proven_answer_, proven_authority_, proven_additional_;
  const std::vector<SignedRRset> answer_, authority_, additional_;
  const Denial denial_;  // made of all above
};

// Those that do not hold prove nothing; whether anything is missing then, the proofs will tell.
Denial Judgement::prove_nsecs() {
  std::vector<ProvenNsec> nsecs;
  std::vector<ProvenNsec3> nsec3s;
  for (const SignedRRset& rrset : authority_) {
    const RRType type = rrset.rrset.type;
    const bool is_denial = type == RRType::nsec || type == RRType::nsec3;
    if (!is_denial || nsecs.size() + nsec3s.size() == kMostNsecs) continue;
    const auto verified = keys_.verify(rrset, now_, effort_);
    if (const auto* flaw = std::get_if<Flaw>(&verified)) {
      nsec_flaw_ = *flaw;
      continue;
    }
    const Proof& proof = std::get<Proof>(verified);
    const Bytes& rdata = rrset.rrset.rdatas.front();
    if (rrset.rrset.rdatas.size() != 1 || proof.labels != dnssec::signed_labels(rrset.owner))
      continue;
    if (type == RRType::nsec) {
      auto nsec = dnssec::parse_nsec(rdata);
      if (!nsec || !nsec->next.is_at_or_below(keys_.zone())) continue;
      nsecs.push_back({rrset.owner, *std::move(nsec)});
    } else {
      auto nsec3 = dnssec::parse_nsec3(rdata);
      if (!nsec3 || rrset.owner.parent() != keys_.zone()) continue;
      nsec3s.push_back({dnssec::nsec3_hash_of_label(rrset.owner.label(0)), *std::move(nsec3)});
    }
    nsec_ttl_ = std::min(nsec_ttl_, proof.ttl);
    append_records(proven_authority_, rrset, proof.ttl);
  }
  return Denial(keys_.zone(), std::move(nsecs), std::move(nsec3s));
}

std::optional<Flaw> Judgement::prove(const SignedRRset& rrset, Proof& proof) {
  auto verified = keys_.verify(rrset, now_, effort_);
  if (auto* flaw = std::get_if<Flaw>(&verified)) return std::move(*flaw);
  proof = std::get<Proof>(verified);
  if (proof.labels == dnssec::signed_labels(rrset.owner) ||
      denial_.no_closer(rrset.owner, proof.labels))
    return std::nullopt;
  return Flaw{ExtendedError::nsec_missing, rrset.owner.to_text() + " " + to_text(rrset.rrset.type) +
                                               ": from a wildcard that is not proven to apply"};
}

std::optional<Flaw> Judgement::prove_into(const SignedRRset& rrset, std::vector<Record>& out) {
  Proof proof;
  if (auto flaw = prove(rrset, proof)) return flaw;
  append_records(out, rrset, proof.ttl);
  return std::nullopt;
}

std::optional<Flaw> Judgement::run() {
  Name name = question_.name;
  for (unsigned aliases = 0;; ++aliases) {
    if (aliases > kLongestChain)
      return Flaw{ExtendedError::dnssec_bogus,
                  question_.name.to_text() + ": a chain of more than 8 aliases"};
    Step next = Step::end;
    if (auto flaw = step(name, next)) return flaw;
    if (next == Step::end) break;
    if (name.is_at_or_below(keys_.zone())) continue;
    rcode_ = Rcode::noerror;  // the alias is all that this zone can say
    break;
  }
  prove_additional();
  return std::nullopt;
}

std::optional<Flaw> Judgement::step(Name& name, Step& next) {
  // First, since the CNAME that a server makes of it is not signed. To some questions it is the answer.
  if (const SignedRRset* dname = dname_above(name)) {
    const bool is_answer = question_.type == RRType::cname || question_.type == RRType::any;
    next = is_answer ? Step::end : Step::alias;
    return substitute(*dname, name);
  }
  bool is_there = false;
  for (const SignedRRset& rrset : answer_) {
    const bool is_asked_for = rrset.rrset.type == question_.type || question_.type == RRType::any;
    if (!is_asked_for || rrset.owner != name) continue;
    if (auto flaw = prove_into(rrset, proven_answer_)) return flaw;
    is_there = true;
  }
  if (is_there) {
    if (rcode_ == Rcode::noerror) return std::nullopt;
    return Flaw{ExtendedError::dnssec_bogus, name.to_text() + ": said not to exist, and answered"};
  }
  next = Step::alias;
  if (const SignedRRset* cname = find(answer_, name, RRType::cname)) return follow(*cname, name);
  next = Step::end;
  return prove_absence(name);
}

std::optional<Flaw> Judgement::follow(const SignedRRset& cname, Name& name) {
  if (auto flaw = prove_into(cname, proven_answer_)) return flaw;
  auto target = wire::parse_name_rdata(cname.rrset.rdatas.front());
  if (!target || cname.rrset.rdatas.size() != 1)
    return Flaw{ExtendedError::dnssec_bogus, name.to_text() + " CNAME: not one name"};
  name = *std::move(target);
  return std::nullopt;
}

const SignedRRset* Judgement::dname_above(const Name& name) const {
  for (const SignedRRset& rrset : answer_) {
    if (rrset.rrset.type == RRType::dname && rrset.owner != name &&
        name.is_at_or_below(rrset.owner))
      return &rrset;
  }
  return nullptr;
}

// RFC 6672 section 5.3.1: the CNAME that came along proves nothing; it is made anew.
std::optional<Flaw> Judgement::substitute(const SignedRRset& dname, Name& name) {
  if (auto flaw = prove_into(dname, proven_answer_)) return flaw;
  const auto suffix = wire::parse_name_rdata(dname.rrset.rdatas.front());
  const BytesView labels = name.wire().first(name.wire().size() - dname.owner.wire().size());
  Bytes octets = to_bytes(labels);
  if (suffix) append(octets, suffix->wire());
  auto target = wire::Name::from_wire(octets);
  if (!suffix || dname.rrset.rdatas.size() != 1 || !target)
    return Flaw{ExtendedError::dnssec_bogus, name.to_text() + ": not to be had by its DNAME"};
  proven_answer_.push_back(
      {name, RRType::cname, wire::RRClass::in, proven_answer_.back().ttl, octets});
  name = *std::move(target);
  return std::nullopt;
}

std::optional<Flaw> Judgement::prove_absence(const Name& name) {
  keep_soa();
  if (rcode_ == Rcode::nxdomain && denial_.no_name(name)) return std::nullopt;
  if (rcode_ == Rcode::noerror && (denial_.no_type(name, question_.type) || is_delegated(name)))
    return std::nullopt;
  if (nsec_flaw_) return nsec_flaw_;
  return Flaw{ExtendedError::nsec_missing,
              name.to_text() + " " + to_text(question_.type) + ": its absence is not proven"};
}

// A referral (RFC 4035 section 5.4): somebody else speaks for the name.
bool Judgement::is_delegated(const Name& name) {
  for (const SignedRRset& rrset : authority_) {
    const Name& cut = rrset.owner;
    const bool is_between = cut != keys_.zone() && cut.is_at_or_below(keys_.zone()) &&
                            name.is_at_or_below(cut) && rrset.rrset.type == RRType::ns;
    if (!is_between) continue;
    if (denial_.is_cut(cut)) return true;
    const SignedRRset* ds = find(authority_, cut, RRType::ds);
    if (ds && !prove_into(*ds, proven_authority_)) return true;
  }
  return false;
}

// How long an absence may be kept stands in it (RFC 2308), but not for longer than the NSECs (RFC 9077).
void Judgement::keep_soa() {
  const SignedRRset* soa = find(authority_, keys_.zone(), RRType::soa);
  Proof proof;
  if (soa && !prove(*soa, proof))
    append_records(proven_authority_, *soa, std::min(proof.ttl, nsec_ttl_));
}

void Judgement::prove_additional() {
  std::size_t count = 0;
  for (const SignedRRset& rrset : additional_) {
    const bool is_address = rrset.rrset.type == RRType::a || rrset.rrset.type == RRType::aaaa;
    if (!is_address || rrset.signatures.empty() || ++count > kMostAdditional) continue;
    // What cannot be proven can be asked for by itself.
    static_cast<void>(prove_into(rrset, proven_additional_));
  }
}

}  // namespace

std::optional<Flaw> validate(const wire::Question& question, const ZoneKeys& keys, WallTime now,
                             wire::Message& response) {
  const Rcode rcode = response.header.rcode;
  if (!response.header.response || response.question.size() != 1 ||
      response.question.front() != question)
    return Flaw{ExtendedError::invalid_data, "an answer to another question"};
  if (rcode != Rcode::noerror && rcode != Rcode::nxdomain)
    return Flaw{ExtendedError::not_authoritative,
                question.name.to_text() + ": answered " + to_text(rcode)};
  Judgement judgement(question, keys, now, response);
  if (auto flaw = judgement.run()) return flaw;
  judgement.leave_proven(response);
  return std::nullopt;
}

}  // namespace mutua::resolver
