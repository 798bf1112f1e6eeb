#pragma once

#include <cstdint>
#include <vector>

#include "authority/zone/rrset.h"
#include "base/bytes.h"
#include "wire/name.h"

namespace mutua::authority {

// Where a message's question name stands, right behind the header: the owner of nearly all answers.
constexpr std::size_t kQuestionNameOffset = 12;

// An RRset in wire format, ready to be copied into a message, made once when the version is made:
//
//   for each record: C0 0C | TYPE | CLASS IN | TTL | RDLENGTH | RDATA
//
// It is written for a message in which the whole owner stands at octet 12. The names inside the
// RDATA of the types that may compress (RFC 3597 section 4) end in pointers into the owner, too.
// A message in which the owner stands elsewhere adds the difference to every pointer.
struct ReadyRRset {
  // A name in the RDATA whose addresses belong into the additional section, each once.
  struct Target {
    std::uint64_t hash;            // name_hash() of the folded name
    std::uint32_t name_at;         // of the folded name within `target_names`
    std::uint16_t rdata_name_at;   // of the name within `octets`; 0 where it is compressed there
    std::uint8_t name_size;
  };

  wire::RRType type = wire::RRType::a;
  std::uint16_t record_count = 0;
  Bytes octets;
  std::vector<std::uint16_t> pointers;  // offsets within `octets`, owners included
  std::vector<Target> targets;
  Bytes target_names;

  BytesView target_name(const Target& target) const {
    return BytesView(target_names).subspan(target.name_at, target.name_size);
  }
};

// An RRset too large for any message becomes a ReadyRRset without records.
ReadyRRset make_ready(const wire::Name& owner, const RRset& rrset);

}  // namespace mutua::authority
