#include "resolver/mirror/mirror_answers.h"

#include <algorithm>
#include <optional>

#include "dnssec/nsec3.h"
#include "wire/rdata.h"

namespace mutua::resolver {
namespace {

using wire::Name;
using wire::Rcode;
using wire::Record;
using wire::RRset;
using wire::RRType;

constexpr unsigned kLongestChain = 8;

class Answer {
 public:
  Answer(const MirrorZone& zone, const wire::Question& question) : zone_(zone) {
    response_.header.response = response_.header.authoritative = true;
    response_.question.push_back(question);
  }

  wire::Message run() {
    std::optional<Name> name = response_.question[0].name;
    for (unsigned aliases = 0; name && aliases <= kLongestChain; ++aliases)
      name = name->is_at_or_below(zone_.apex()) ? step(*name) : std::nullopt;
    return std::move(response_);
  }

 private:
  // An NSEC3 does not make the name exist that it stands at (RFC 5155 section 7.2.8).
  const MirrorNode* find(const Name& name) const {
    const MirrorNode* node = zone_.find(name);
    return node && node->find(RRType::nsec3) ? nullptr : node;
  }
  bool exists(const Name& name) const {
    const MirrorNode* node = zone_.find(name);
    return node ? !node->find(RRType::nsec3) : zone_.exists(name);
  }

  RRType type() const { return response_.question[0].type; }

  // Answers for `name`; what it is an alias of, if anything.
  std::optional<Name> step(const Name& name) {
    for (unsigned labels = zone_.apex().label_count(); labels <= name.label_count(); ++labels) {
      const MirrorNode* above = find(name.ancestor(labels));
      if (!above) continue;
      const bool is_name = labels == name.label_count();
      const bool is_cut = labels > zone_.apex().label_count() && above->find(RRType::ns);
      if (is_cut && !(is_name && type() == RRType::ds)) return refer(*above);
      const RRset* dname = above->find(RRType::dname);
      if (dname && !is_name) return substitute(*above, *dname, name);
    }
    if (const MirrorNode* node = find(name)) return from(*node, name);
    if (exists(name)) return deny(Rcode::noerror, {&name});
    return without(name);
  }

  std::optional<Name> from(const MirrorNode& node, const Name& name) {
    bool is_there = false;
    for (const RRset& rrset : node.rrsets) {
      if (rrset.type == RRType::rrsig || (rrset.type != type() && type() != RRType::any)) continue;
      put(response_.answer, node, rrset, name);
      is_there = true;
      if (rrset.type == RRType::srv) put_targets(rrset);
    }
    if (is_there) return std::nullopt;
    if (const RRset* cname = node.find(RRType::cname)) {
      put(response_.answer, node, *cname, name);
      auto target = wire::parse_name_rdata(cname->rdatas.front());
      return target ? std::optional(*std::move(target)) : std::nullopt;
    }
    if (node.owner == name) return deny(Rcode::noerror, {&name});
    if (!zone_.nsec3_salt()) return deny(Rcode::noerror, {&name, &node.owner});
    const Name encloser = node.owner.parent();
    const Name next_closer = name.ancestor(encloser.label_count() + 1);
    return deny(Rcode::noerror, {&encloser, &next_closer, &node.owner});
  }

  // Neither the name nor one below it owns anything.
  std::optional<Name> without(const Name& name) {
    Name encloser = name.parent();
    while (!exists(encloser)) encloser = encloser.parent();
    const auto wildcard = encloser.child("*");
    // Of the name itself there is no NSEC3 to be found, but of the first one that does not exist.
    const Name next_closer = name.ancestor(encloser.label_count() + 1);
    const Name& denied = zone_.nsec3_salt() ? next_closer : name;
    const MirrorNode* source = wildcard ? find(*wildcard) : nullptr;
    if (!source) {
      if (!wildcard) return deny(Rcode::nxdomain, {&encloser, &denied});
      return zone_.nsec3_salt() ? deny(Rcode::nxdomain, {&encloser, &denied, &*wildcard})
                                : deny(Rcode::nxdomain, {&denied, &*wildcard});
    }
    const std::size_t before = response_.answer.size();
    auto alias = from(*source, name);
    if (response_.answer.size() > before) put_nsec(denied);
    return alias;
  }

  std::optional<Name> refer(const MirrorNode& cut) {
    response_.header.authoritative = false;
    put(response_.authority, cut, *cut.find(RRType::ns), cut.owner);
    if (const RRset* ds = cut.find(RRType::ds)) {
      put(response_.authority, cut, *ds, cut.owner);
    } else {
      put_nsec(cut.owner);
    }
    return std::nullopt;
  }

  std::optional<Name> substitute(const MirrorNode& node, const RRset& dname, const Name& name) {
    put(response_.answer, node, dname, node.owner);
    const auto suffix = wire::parse_name_rdata(dname.rdatas.front());
    Bytes octets = to_bytes(name.wire().first(name.wire().size() - node.owner.wire().size()));
    if (suffix) append(octets, suffix->wire());
    auto target = Name::from_wire(octets);
    if (!target) {
      response_.header.rcode = Rcode::yxdomain;  // RFC 6672 section 2.2: too long
      return std::nullopt;
    }
    response_.answer.push_back({name, RRType::cname, wire::RRClass::in, dname.ttl, octets});
    if (type() == RRType::cname || type() == RRType::any) return std::nullopt;
    return *std::move(target);
  }

  std::optional<Name> deny(Rcode rcode, std::initializer_list<const Name*> names) {
    response_.header.rcode = rcode;
    put(response_.authority, zone_.apex_node(), zone_.soa(), zone_.apex());
    for (const Name* name : names) put_nsec(*name);
    return std::nullopt;
  }

  // The NSEC at `name`, or the one that says that there is none; or the NSEC3. Glue has none.
  void put_nsec(const Name& name) {
    const bool is_hashed = zone_.nsec3_salt().has_value();
    const RRType kind = is_hashed ? RRType::nsec3 : RRType::nsec;
    const MirrorNode* node = &zone_.at_or_before(is_hashed ? hashed(name) : name);
    // Round the beginning there are the last hashes.
    for (std::size_t steps = zone_.nodes().size(); steps > 0 && !node->find(kind); --steps)
      node = node == &zone_.apex_node() ? zone_.nodes().back().get() : &zone_.before(*node);
    const RRset* nsec = node->find(kind);
    if (nsec && !has(response_.authority, node->owner, kind))
      put(response_.authority, *node, *nsec, node->owner);
  }

  Name hashed(const Name& name) const {
    return nsec3_owner(zone_.apex(),
                       dnssec::nsec3_hash(name.lowered().wire(), *zone_.nsec3_salt()));
  }

  void put_targets(const RRset& srv) {
    for (const Bytes& rdata : srv.rdatas) {
      const auto target = wire::target_of(RRType::srv, rdata);
      const MirrorNode* node = target ? find(*target) : nullptr;
      for (const RRType address : {RRType::a, RRType::aaaa}) {
        const RRset* rrset = node ? node->find(address) : nullptr;
        if (rrset && !has(response_.additional, node->owner, address))
          put(response_.additional, *node, *rrset, node->owner);
      }
    }
  }

  static bool has(const std::vector<Record>& section, const Name& owner, RRType type) {
    return std::ranges::any_of(
        section, [&](const Record& one) { return one.type == type && one.owner == owner; });
  }

  static void put(std::vector<Record>& section, const MirrorNode& node, const RRset& rrset,
                  const Name& owner) {
    SignedRRset whole = signed_rrset(node, rrset);
    whole.owner = owner;
    append_records(section, whole, rrset.ttl);
  }

  const MirrorZone& zone_;
  wire::Message response_;
};

}  // namespace

wire::Message answer_from(const MirrorZone& zone, const wire::Question& question) {
  return Answer(zone, question).run();
}

}  // namespace mutua::resolver
