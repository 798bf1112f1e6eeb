#include "authority/zone/ready_rrset.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>

#include "authority/zone/folded_name.h"
#include "wire/message.h"
#include "wire/rdata.h"

namespace mutua::authority {
namespace {

constexpr std::size_t kRdlengthAt = 10;  // within a record whose owner is a pointer
constexpr std::uint16_t kPointer = 0xC000;

// The names of RDATA that RFC 1035 lets compress: how many, and where the first begins.
struct CompressibleNames {
  std::size_t first_at;
  unsigned count;
};
std::optional<CompressibleNames> compressible_names(wire::RRType type) {
  switch (type) {
    case wire::RRType::ns:
    case wire::RRType::cname:
    case wire::RRType::ptr: return CompressibleNames{0, 1};
    case wire::RRType::mx: return CompressibleNames{2, 1};
    case wire::RRType::soa: return CompressibleNames{0, 2};
    default: return std::nullopt;
  }
}

// Where the name that begins at `at` of well-formed `octets` ends.
std::size_t end_of_name(BytesView octets, std::size_t at) {
  while (octets[at] != 0) at += octets[at] + 1u;
  return at + 1;
}

class Encoder {
 public:
  Encoder(const wire::Name& owner, ReadyRRset& ready) : owner_(owner.wire()), ready_(ready) {}

  void record(const RRset& rrset, BytesView rdata) {
    const std::size_t start = ready_.octets.size();
    pointer_to(0);
    append_u16(ready_.octets, static_cast<std::uint16_t>(rrset.type));
    append_u16(ready_.octets, static_cast<std::uint16_t>(wire::RRClass::in));
    append_u32(ready_.octets, rrset.ttl);
    append_u16(ready_.octets, 0);
    put_rdata(rrset.type, rdata);
    const std::size_t length = ready_.octets.size() - start - kRdlengthAt - 2;
    store_u16(ready_.octets.data() + start + kRdlengthAt, static_cast<std::uint16_t>(length));
  }

 private:
  void pointer_to(std::size_t owner_offset) {
    ready_.pointers.push_back(static_cast<std::uint16_t>(ready_.octets.size()));
    append_u16(ready_.octets,
               static_cast<std::uint16_t>(kPointer | (kQuestionNameOffset + owner_offset)));
  }

  void put_rdata(wire::RRType type, BytesView rdata) {
    const auto names = compressible_names(type);
    if (!names) return append(ready_.octets, rdata);
    append(ready_.octets, rdata.first(names->first_at));
    std::size_t at = names->first_at;
    for (unsigned i = 0; i < names->count; ++i) {
      const std::size_t end = end_of_name(rdata, at);
      put_name(rdata.subspan(at, end - at));
      at = end;
    }
    append(ready_.octets, rdata.subspan(at));
  }

  // The labels that the owner does not end in, then a pointer to the rest. Compared with the case
  // of the letters, so that compression alters nothing that the zone says.
  void put_name(BytesView name) {
    for (std::size_t at = 0; name[at] != 0; at += name[at] + 1u) {
      const BytesView rest = name.subspan(at);
      if (const auto offset = offset_in_owner(rest)) {
        append(ready_.octets, name.first(at));
        return pointer_to(*offset);
      }
    }
    append(ready_.octets, name);
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
  ReadyRRset& ready_;
};

// The targets of SRV are never compressed (RFC 2782) and end the RDATA: the address records can
// point back at them. The other types' targets may be cut by a pointer and are given in full.
std::uint16_t rdata_name_offset(wire::RRType type, std::size_t record_end, std::size_t name_size) {
  return type == wire::RRType::srv ? static_cast<std::uint16_t>(record_end - name_size)
                                   : std::uint16_t{0};
}

}  // namespace

ReadyRRset make_ready(const wire::Name& owner, const RRset& rrset) {
  ReadyRRset ready;
  ready.type = rrset.type;
  std::size_t upper_bound = 0;
  for (const Bytes& rdata : rrset.rdatas) upper_bound += rdata.size() + kRdlengthAt + 2;
  if (upper_bound > wire::kLargestMessage) return ready;

  ready.octets.reserve(upper_bound);
  Encoder encoder(owner, ready);
  std::set<std::string, std::less<>> seen;
  for (const Bytes& rdata : rrset.rdatas) {
    encoder.record(rrset, rdata);
    const auto target = wire::target_of(rrset.type, rdata);
    if (!target || target->is_root()) continue;
    const FoldedName folded(*target);
    if (!seen.emplace(as_text(folded.wire())).second) continue;
    ready.targets.push_back(
        {name_hash(folded.wire()), static_cast<std::uint32_t>(ready.target_names.size()),
         rdata_name_offset(rrset.type, ready.octets.size(), folded.size()),
         static_cast<std::uint8_t>(folded.size())});
    append(ready.target_names, folded.wire());
  }
  ready.record_count = static_cast<std::uint16_t>(rrset.rdatas.size());
  ready.octets.shrink_to_fit();
  return ready;
}

}  // namespace mutua::authority
