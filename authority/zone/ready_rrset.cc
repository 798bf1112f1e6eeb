#include "authority/zone/ready_rrset.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "authority/zone/folded_name.h"
#include "wire/message.h"
#include "wire/rdata.h"

namespace mutua::authority {
namespace {

constexpr std::uint16_t kPointer = 0xC000;
// Octets of an answer that is prepared whole, header and all: what any UDP client with EDNS takes.
constexpr std::size_t kLargestWholeAnswer = 1232;
// The same without the OPT record, which comes with DO, and an extended error.
constexpr std::size_t kLargestSignedAnswer = kLargestWholeAnswer - 17;

// The names of RDATA that RFC 1035 lets compress: how many, and where the first begins.
struct CompressibleNames {
  std::size_t first_at;
  unsigned count;
};
std::optional<CompressibleNames> compressible_names(wire::RRType type) {
  switch (type) {
    case wire::RRType::ns:
    case wire::RRType::cname:
    case wire::RRType::ptr:
      return CompressibleNames{0, 1};
    case wire::RRType::mx:
      return CompressibleNames{2, 1};
    case wire::RRType::soa:
      return CompressibleNames{0, 2};
    default:
      return std::nullopt;
  }
}

// Where the name that begins at `at` of well-formed `octets` ends.
std::size_t end_of_name(BytesView octets, std::size_t at) {
  while (octets[at] != 0) at += octets[at] + 1u;
  return at + 1;
}

}  // namespace

// The parts of a ReadyRRset, before they are put into one piece.
struct ReadyBlockMaker::Parts {
  std::vector<ReadyRRset::Target> targets;
  std::vector<std::uint64_t> target_hashes;
  std::vector<std::uint16_t> pointers;
  Bytes octets, glue, plain, target_names;
  std::uint16_t glue_count = 0;
  bool has_glue = false;
  Bytes signed_glue;
  std::uint16_t signed_glue_count = 0;
  std::size_t signatures_at = 0;  // in the block
  std::uint16_t signatures_size = 0;
  std::uint8_t signature_count = 0;
  bool has_all_signed = false;

  // While the parts are apart: name_at of a target with this bit counts within `target_names`.
  static constexpr std::uint32_t kOutside = std::uint32_t{1} << 31;
  BytesView target_name(const ReadyRRset::Target& target) const {
    const bool is_outside = (target.name_at & kOutside) != 0;
    const BytesView names = is_outside ? target_names : octets;
    return names.subspan(target.name_at & ~kOutside, target.name_size);
  }
  // Says where the names will stand once the parts are in one piece.
  void place_target_names() {
    const auto before =
        static_cast<std::uint32_t>(octets.size() + glue.size() + signed_glue.size() + plain.size());
    for (ReadyRRset::Target& target : targets)
      if ((target.name_at & kOutside) != 0) target.name_at = before + (target.name_at & ~kOutside);
  }

  // Forgets what there is and keeps the memory.
  void clear() {
    targets.clear();
    target_hashes.clear();
    pointers.clear();
    for (Bytes* octets_of : {&octets, &glue, &plain, &target_names, &signed_glue})
      octets_of->clear();
    glue_count = signed_glue_count = signatures_size = 0;
    signature_count = 0;
    has_glue = has_all_signed = false;
  }
};

namespace {

using Parts = ReadyBlockMaker::Parts;

class Encoder {
 public:
  Encoder(BytesView owner, Parts& parts) : owner_(owner), parts_(parts) {}

  void record(const RRsetView& rrset, BytesView rdata) {
    const std::size_t start = parts_.octets.size();
    pointer_to(0);
    append_u16(parts_.octets, static_cast<std::uint16_t>(rrset.type()));
    append_u16(parts_.octets, static_cast<std::uint16_t>(wire::RRClass::in));
    append_u32(parts_.octets, rrset.ttl_of(rdata));
    append_u16(parts_.octets, 0);
    put_rdata(rrset.type(), rdata);
    const std::size_t length = parts_.octets.size() - start - RRsetView::kRdataAt;
    store_u16(parts_.octets.data() + start + RRsetView::kRdlengthAt,
              static_cast<std::uint16_t>(length));
  }

 private:
  void pointer_to(std::size_t owner_offset) {
    parts_.pointers.push_back(static_cast<std::uint16_t>(parts_.octets.size()));
    append_u16(parts_.octets,
               static_cast<std::uint16_t>(kPointer | (kQuestionNameOffset + owner_offset)));
  }

  void put_rdata(wire::RRType type, BytesView rdata) {
    const auto names = compressible_names(type);
    if (!names) return append(parts_.octets, rdata);
    append(parts_.octets, rdata.first(names->first_at));
    std::size_t at = names->first_at;
    for (unsigned i = 0; i < names->count; ++i) {
      const std::size_t end = end_of_name(rdata, at);
      put_name(rdata.subspan(at, end - at));
      at = end;
    }
    append(parts_.octets, rdata.subspan(at));
  }

  // The labels that the owner does not end in, then a pointer to the rest. Compared with the case
  // of the letters, so that compression alters nothing that the zone says.
  void put_name(BytesView name) {
    for (std::size_t at = 0; name[at] != 0; at += name[at] + 1u) {
      const BytesView rest = name.subspan(at);
      if (const auto offset = offset_in_owner(rest)) {
        append(parts_.octets, name.first(at));
        return pointer_to(*offset);
      }
    }
    append(parts_.octets, name);
  }

  std::optional<std::size_t> offset_in_owner(BytesView rest) const {
    if (rest.size() > owner_.size()) return std::nullopt;
    const std::size_t offset = owner_.size() - rest.size();
    if (!std::equal(rest.begin(), rest.end(), owner_.begin() + static_cast<std::ptrdiff_t>(offset)))
      return std::nullopt;
    for (std::size_t at = 0; at <= offset; at += owner_[at] + 1u)
      if (at == offset) return offset;  // at the start of a label, not inside one
    return std::nullopt;
  }

  BytesView owner_;
  Parts& parts_;
};

// The targets of SRV are never compressed (RFC 2782) and end the RDATA: the address records can
// point back at them. The other types' targets may be cut by a pointer and are given in full.
std::uint16_t rdata_name_offset(wire::RRType type, std::size_t record_end, std::size_t name_size) {
  return type == wire::RRType::srv ? static_cast<std::uint16_t>(record_end - name_size)
                                   : std::uint16_t{0};
}

bool has_target(const Parts& parts, std::uint64_t hash, BytesView folded) {
  for (std::size_t i = 0; i < parts.targets.size(); ++i)
    if (parts.target_hashes[i] == hash &&
        std::ranges::equal(folded, parts.target_name(parts.targets[i])))
      return true;
  return false;
}

void encode(BytesView owner, const RRsetView& rrset, Parts& parts) {
  Encoder encoder(owner, parts);
  FoldedName folded;
  const auto target_at = wire::target_offset(rrset.type());
  for (const BytesView rdata : rrset) {
    encoder.record(rrset, rdata);
    if (!target_at || rdata.size() <= *target_at || !folded.read(rdata.subspan(*target_at)) ||
        folded.size() != rdata.size() - *target_at || folded.label_count() == 0)
      continue;
    const std::uint64_t hash = name_hash(folded.wire());
    if (has_target(parts, hash, folded.wire())) continue;
    const std::uint16_t rdata_name_at =
        rdata_name_offset(rrset.type(), parts.octets.size(), folded.size());
    const bool stands_there =
        rdata_name_at != 0 &&
        std::ranges::equal(folded.wire(), BytesView(parts.octets).subspan(rdata_name_at));
    const std::size_t name_at =
        stands_there ? rdata_name_at : Parts::kOutside | parts.target_names.size();
    parts.targets.push_back({static_cast<std::uint32_t>(name_at), rdata_name_at,
                             static_cast<std::uint16_t>(folded.size())});
    parts.target_hashes.push_back(hash);
    if (!stands_there) append(parts.target_names, folded.wire());
  }
}

// An owner for records that follow the RRset: a pointer to where the name stands already, or the
// name.
struct Place {
  std::uint16_t at;  // in the message; 0: nowhere
  BytesView name;
};

void put_record(Bytes& out, const Place& owner, wire::RRType type, std::uint32_t ttl,
                BytesView rdata) {
  if (owner.at != 0)
    append_u16(out, static_cast<std::uint16_t>(kPointer | owner.at));
  else
    append(out, owner.name);
  append_u16(out, static_cast<std::uint16_t>(type));
  append_u16(out, static_cast<std::uint16_t>(wire::RRClass::in));
  append_u32(out, ttl);
  append_u16(out, static_cast<std::uint16_t>(rdata.size()));
  append(out, rdata);
}

std::uint16_t put_rrset(Bytes& out, const Place& owner, const RRsetView& rrset) {
  std::uint16_t count = 0;
  for (const BytesView rdata : rrset) {
    put_record(out, owner, rrset.type(), rrset.ttl_of(rdata), rdata);
    ++count;
  }
  return count;
}

// Those of the signatures that cover this type; how many.
std::uint16_t put_signatures(Bytes& out, const Place& owner,
                             const std::optional<RRsetView>& signatures, wire::RRType covered) {
  std::uint16_t count = 0;
  if (!signatures) return count;
  for (const BytesView rdata : *signatures) {
    if (rdata.size() < 2 || static_cast<wire::RRType>(load_u16(rdata.data())) != covered) continue;
    put_record(out, owner, wire::RRType::rrsig, signatures->ttl_of(rdata), rdata);
    ++count;
  }
  return count;
}

std::size_t answer_offset(BytesView owner) {
  return kQuestionNameOffset + owner.size() + 4;  // QTYPE, QCLASS
}

Place place_of(const ReadyRRset::Target& target, const Parts& parts, std::size_t answer_at) {
  return {
      static_cast<std::uint16_t>(target.rdata_name_at == 0 ? 0 : answer_at + target.rdata_name_at),
      parts.target_name(target)};
}

void prepare_glue(BytesView owner, const AddressSource& addresses, Parts& parts) {
  const std::size_t answer_at = answer_offset(owner);
  for (std::size_t i = 0; i < parts.targets.size(); ++i) {
    const Place place = place_of(parts.targets[i], parts, answer_at);
    for (const wire::RRType type : {wire::RRType::a, wire::RRType::aaaa}) {
      if (const auto rrset = addresses(place.name, parts.target_hashes[i], type))
        parts.glue_count =
            static_cast<std::uint16_t>(parts.glue_count + put_rrset(parts.glue, place, *rrset));
      if (answer_at + parts.octets.size() + parts.glue.size() <= kLargestWholeAnswer) continue;
      parts.glue.clear();
      parts.glue_count = 0;
      return;
    }
  }
  parts.has_glue = answer_at + parts.octets.size() <= kLargestWholeAnswer;
}

// As many addresses as there is room for, each with its signatures; one family of all targets before
// the other of any. False where some are left out. `room`: octets.
bool put_signed_glue(std::size_t answer_at, std::size_t room, const AddressSource& addresses,
                     Parts& parts) {
  Bytes& glue = parts.signed_glue;
  for (const wire::RRType type : {wire::RRType::a, wire::RRType::aaaa}) {
    for (std::size_t i = 0; i < parts.targets.size(); ++i) {
      const Place place = place_of(parts.targets[i], parts, answer_at);
      const auto rrset = addresses(place.name, parts.target_hashes[i], type);
      if (!rrset) continue;
      const auto signatures = addresses(place.name, parts.target_hashes[i], wire::RRType::rrsig);
      const std::size_t before = glue.size();
      const std::uint16_t records = put_rrset(glue, place, *rrset);
      const std::uint16_t signed_by = put_signatures(glue, place, signatures, type);
      if (glue.size() > room) {
        glue.resize(before);
        return false;
      }
      parts.signed_glue_count =
          static_cast<std::uint16_t>(parts.signed_glue_count + records + signed_by);
    }
  }
  return true;
}

// Where the records of an RRset stand in a block.
struct OctetsPlace {
  std::size_t at = 0, size = 0;
};

// Finds the signatures that cover this type: side by side, since RDATA is in canonical order.
void find_signatures(BytesView block, const OctetsPlace& all, wire::RRType type, Parts& parts) {
  for (std::size_t at = all.at; at < all.at + all.size;) {
    const std::uint8_t* const record = block.data() + at;
    const std::size_t size = RRsetView::kRdataAt + load_u16(record + RRsetView::kRdlengthAt);
    if (size >= RRsetView::kRdataAt + 2 && parts.signature_count < 255 &&
        static_cast<wire::RRType>(load_u16(record + RRsetView::kRdataAt)) == type) {
      if (parts.signature_count++ == 0) parts.signatures_at = at;
      parts.signatures_size = static_cast<std::uint16_t>(at + size - parts.signatures_at);
    }
    at += size;
  }
}

// After the RRset was encoded, which is where the pointers of the addresses lead. `octets_at`: where
// it will stand in the block.
void prepare_signed_answer(BytesView owner, wire::RRType type, const AddressSource& addresses,
                           BytesView block, const OctetsPlace& signatures, std::size_t octets_at,
                           Parts& parts) {
  find_signatures(block, signatures, type, parts);
  const std::size_t answer_at = answer_offset(owner);
  const std::size_t used = answer_at + parts.octets.size() + parts.signatures_size;
  if (parts.signature_count == 0) return;
  if (used > kLargestSignedAnswer || octets_at - parts.signatures_at > UINT16_MAX) {
    parts.signature_count = 0;
    parts.signatures_size = 0;
    return;
  }
  parts.has_all_signed = put_signed_glue(answer_at, kLargestSignedAnswer - used, addresses, parts);
}

template <typename Item>
void append_items(Bytes& out, const Item* items, std::size_t count) {
  append(out, {reinterpret_cast<const std::uint8_t*>(items), count * sizeof(Item)});
}

std::size_t aligned(std::size_t size) { return (size + 7) & ~std::size_t{7}; }

// The run of memory of one RRset, behind what is there. Returns where its octets stand.
OctetsPlace append_ready(Bytes& out, BytesView owner, const RRsetView& rrset,
                         const AddressSource& addresses, const OctetsPlace& signatures,
                         Parts& parts) {
  std::size_t count = 0, upper_bound = 0;
  for (const BytesView rdata : rrset) {
    upper_bound += RRsetView::kRdataAt + rdata.size();
    ++count;
  }
  const bool fits = upper_bound <= wire::kLargestMessage;
  parts.clear();
  if (fits) encode(owner, rrset, parts);
  const std::size_t octets_at = out.size() + sizeof(ReadyRRset) +
                                parts.targets.size() * sizeof(ReadyRRset::Target) +
                                parts.pointers.size() * sizeof(std::uint16_t);
  if (fits) prepare_glue(owner, addresses, parts);
  if (fits)
    prepare_signed_answer(owner, rrset.type(), addresses, out, signatures, octets_at, parts);
  const bool has_plain = !fits || parts.pointers.size() != count;
  if (has_plain) {
    append_u32(parts.plain, 0);
    put_rrset(parts.plain, {kQuestionNameOffset, {}}, rrset);
    store_u32(parts.plain.data(),
              static_cast<std::uint32_t>(parts.plain.size() - ReadyRRset::kPlainSize));
  }

  parts.place_target_names();
  const bool is_signed = parts.signature_count != 0;
  const ReadyRRset head{rrset.type(),
                        static_cast<std::uint16_t>(fits ? count : 0),
                        static_cast<std::uint16_t>(parts.targets.size()),
                        static_cast<std::uint16_t>(parts.pointers.size()),
                        static_cast<std::uint16_t>(parts.octets.size()),
                        static_cast<std::uint16_t>(parts.glue.size()),
                        parts.glue_count,
                        static_cast<std::uint16_t>(is_signed ? octets_at - parts.signatures_at : 0),
                        parts.signatures_size,
                        static_cast<std::uint16_t>(parts.signed_glue.size()),
                        parts.signed_glue_count,
                        parts.signature_count,
                        parts.has_glue,
                        parts.has_all_signed,
                        has_plain};
  append_items(out, &head, 1);
  append_items(out, parts.targets.data(), parts.targets.size());
  append_items(out, parts.pointers.data(), parts.pointers.size());
  append(out, parts.octets);
  append(out, parts.glue);
  append(out, parts.signed_glue);
  append(out, parts.plain);
  append(out, parts.target_names);
  return {octets_at, parts.octets.size()};
}

}  // namespace

Bytes make_ready(BytesView owner, const RRsetView& rrset) {
  Bytes out;
  Parts parts;
  const auto no_addresses = [](BytesView, std::uint64_t, wire::RRType) { return std::nullopt; };
  append_ready(out, owner, rrset, no_addresses, {}, parts);
  return out;
}

ReadyBlockMaker::ReadyBlockMaker() : parts_(std::make_unique<Parts>()) {}
ReadyBlockMaker::~ReadyBlockMaker() = default;

BytesView ReadyBlockMaker::make(BytesView owner, std::span<const RRsetView> rrsets,
                                const AddressSource& addresses) {
  FoldedName folded;
  const bool is_whole = folded.read(owner);
  BASE_ASSERT(is_whole);
  const bool has_given_name = !std::ranges::equal(folded.wire(), owner);
  const ReadyBlock::Head head{static_cast<std::uint16_t>(rrsets.size()),
                              static_cast<std::uint8_t>(folded.size()), has_given_name};
  block_.clear();
  append_items(block_, &head, 1);
  block_.resize(sizeof head + rrsets.size() * sizeof(ReadyBlock::Place));
  append(block_, folded.wire());
  if (has_given_name) append(block_, owner);
  OctetsPlace signatures;
  const auto put = [&](std::size_t index) {
    block_.resize(aligned(block_.size()));
    const RRsetView& rrset = rrsets[index];
    const std::size_t start = block_.size();
    const OctetsPlace octets = append_ready(block_, owner, rrset, addresses, signatures, *parts_);
    const std::size_t answer_size = octets.at + octets.size + parts_->glue.size() - start;
    const ReadyBlock::Place place{
        rrset.type(), static_cast<std::uint16_t>(std::min(answer_size, kLargestWholeAnswer)),
        static_cast<std::uint32_t>(start)};
    std::memcpy(block_.data() + sizeof head + index * sizeof place, &place, sizeof place);
    return octets;
  };
  const auto rrsigs = std::ranges::find(rrsets, wire::RRType::rrsig, &RRsetView::type);
  const auto rrsigs_at = static_cast<std::size_t>(rrsigs - rrsets.begin());
  if (rrsigs != rrsets.end()) signatures = put(rrsigs_at);
  for (std::size_t i = 0; i < rrsets.size(); ++i)
    if (i != rrsigs_at) put(i);
  return block_;
}

}  // namespace mutua::authority
