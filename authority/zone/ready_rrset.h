#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "authority/zone/rrset_view.h"
#include "base/bytes.h"
#include "wire/name.h"

namespace mutua::authority {

// Where a message's question name stands, right behind the header: the owner of nearly all answers.
constexpr std::size_t kQuestionNameOffset = 12;

// An RRset in wire format, ready to be copied into a message, made once when the version is made.
// It is the head of a run of memory that lies in one piece, so that an answer costs few cache
// misses; it only ever stands inside a ReadyBlock (or a buffer of make_ready) and is not copied:
//
//   ReadyRRset | targets … | pointers … | octets … | glue … | signed glue … | plain … |
//   target names …
//
// `octets` is, for each record:   C0 0C | TYPE | CLASS IN | TTL | RDLENGTH | RDATA
//
// It is written for a message in which the whole owner stands at octet 12. The names inside the
// RDATA of the types that may compress (RFC 3597 section 4) end in pointers into the owner, too.
// A message in which the owner stands elsewhere adds the difference to every pointer.
//
// `glue` is the address records of the targets, for the additional section of the one message in
// which the RRset follows the question for its owner's name: octets and glue in one piece are the
// whole of that answer. It is there unless such an answer would be larger than a datagram. For
// those who set DO the answer is `octets`, the RRset's signatures, which stand among the `octets` of
// its block's RRSIGs, and `signed glue`: of the addresses with their signatures as many as fit. It is
// there where the RRset is signed and fits with its signatures.
//
// `plain` is the records once more, behind their size (32 bits), with nothing compressed in their
// RDATA: where something is in `octets`, or where the RRset is too large for any message and
// `octets` is empty. So the zone holds its records here, and nowhere else.
//
// `target names` are those that do not stand in `octets` already, whole and in lower case.
struct ReadyRRset {
  // A name in the RDATA whose addresses belong into the additional section, each once.
  struct Target {
    std::uint32_t name_at;        // of the folded name, from the start of `octets`
    std::uint16_t rdata_name_at;  // of the name within `octets`; 0 where it may be compressed there
    std::uint16_t name_size;
  };

  static constexpr std::size_t kPlainSize = 4;  // octets of the size of `plain`

  wire::RRType type;
  std::uint16_t record_count;  // 0: too large for any message
  std::uint16_t target_count;
  std::uint16_t pointer_count;
  std::uint16_t octets_size;
  std::uint16_t glue_size;
  std::uint16_t glue_count;         // of records
  std::uint16_t signatures_before;  // they begin so many octets before `octets`
  std::uint16_t signatures_size;
  std::uint16_t signed_glue_size;
  std::uint16_t signed_glue_count;
  std::uint8_t signature_count;  // 0: there is no signed answer
  bool has_glue : 1;             // false: it is not prepared
  // False: there is no room in a datagram for all addresses and signatures.
  bool has_all_signed : 1;
  bool has_plain : 1;  // false: `octets` are plain

  std::span<const Target> targets() const {
    return {reinterpret_cast<const Target*>(this + 1), target_count};
  }
  // Offsets within octets(), owners included.
  std::span<const std::uint16_t> pointers() const {
    return {reinterpret_cast<const std::uint16_t*>(targets().data() + target_count), pointer_count};
  }
  BytesView octets() const {
    return {reinterpret_cast<const std::uint8_t*>(pointers().data() + pointer_count), octets_size};
  }
  // Octets and glue: what follows the question in an answer about the owner itself.
  BytesView whole_answer() const { return {octets().data(), std::size_t{octets_size} + glue_size}; }
  // What follows the octets in a signed answer.
  BytesView signatures() const { return {octets().data() - signatures_before, signatures_size}; }
  BytesView signed_glue() const {
    return {octets().data() + octets_size + glue_size, signed_glue_size};
  }
  // The records themselves.
  RRsetView records() const {
    if (!has_plain) return {type, octets()};
    const std::uint8_t* const plain = octets().data() + octets_size + glue_size + signed_glue_size;
    return {type, BytesView(plain + kPlainSize, load_u32(plain))};
  }
  BytesView target_name(const Target& target) const {
    return {octets().data() + target.name_at, target.name_size};
  }
};
static_assert(sizeof(ReadyRRset) == 24 && sizeof(ReadyRRset::Target) == 8);

// The RRset of this type, A, AAAA or RRSIG, at a folded name with this name_hash(), if there is one.
using AddressSource = std::function<std::optional<RRsetView>(BytesView folded, std::uint64_t hash,
                                                             wire::RRType type)>;

// The run of memory of one RRset without signatures or addresses; a ReadyRRset stands at its front.
Bytes make_ready(BytesView owner, const RRsetView& rrset);

// All that look-ups need of one name, in one piece of memory:
//
//   RRset count | name size | index: type, offset … | folded name | name | ReadyRRset … | …
//
// The name with the letters that it was given stands there only where it differs from the folded
// one. The RRSIGs come first, since other RRsets' signatures are found there. A view; the memory is
// aligned to 8 octets and outlives it.
class ReadyBlock {
 public:
  explicit ReadyBlock(const std::uint8_t* start) : start_(start) {}

  BytesView folded_owner() const {
    return {start_ + sizeof(Head) + head().rrset_count * sizeof(Place), head().name_size};
  }
  BytesView given_owner() const {
    const BytesView folded = folded_owner();
    return {folded.data() + (head().has_given_name ? folded.size() : 0), folded.size()};
  }
  unsigned size() const { return head().rrset_count; }
  const ReadyRRset& at(unsigned index) const {
    return *reinterpret_cast<const ReadyRRset*>(start_ + places()[index].offset);
  }

  // Ask the processor to fetch what at() and folded_owner() read first, and then, once that has
  // come, what an answer of this type reads and copies.
  void prefetch_index() const {
    __builtin_prefetch(start_);
    __builtin_prefetch(start_ + kLine);
  }
  void prefetch(wire::RRType type) const {
    for (unsigned i = 0; i < size(); ++i)
      if (places()[i].type == type)
        return prefetch_lines(start_ + places()[i].offset, places()[i].answer_size);
  }
  // And then the rest of the signed answer, whose place is known only now.
  void prefetch_signed(wire::RRType type) const {
    const ReadyRRset* found = find(type);
    if (!found) return;
    prefetch_lines(found->signatures().data(), found->signatures_size);
    prefetch_lines(found->signed_glue().data(), found->signed_glue_size);
  }

  const ReadyRRset* find(wire::RRType type) const {
    for (unsigned i = 0; i < size(); ++i)
      if (places()[i].type == type) return &at(i);
    return nullptr;
  }

 private:
  friend class ReadyBlockMaker;
  struct Head {
    std::uint16_t rrset_count;
    std::uint8_t name_size;
    bool has_given_name;
  };
  struct Place {
    wire::RRType type;
    // Octets of the ReadyRRset up to the end of its whole answer, as far as a datagram takes them.
    std::uint16_t answer_size;
    std::uint32_t offset;
  };

  // The ends are read in earnest: a prefetch from a page whose translation the processor does not
  // have at hand may be dropped, and was, in virtual machines.
  static void prefetch_lines(const std::uint8_t* at, std::size_t octets) {
    if (octets == 0) return;
    touch(at);
    touch(at + octets - 1);
    for (std::size_t line = kLine; line < octets; line += kLine) __builtin_prefetch(at + line);
  }
  static void touch(const std::uint8_t* at) {
    static_cast<void>(*static_cast<const volatile std::uint8_t*>(at));
  }
  const Head& head() const { return *reinterpret_cast<const Head*>(start_); }
  const Place* places() const { return reinterpret_cast<const Place*>(start_ + sizeof(Head)); }

  static constexpr std::size_t kLine = 64;  // octets of a cache line

  const std::uint8_t* start_;
};

// Makes blocks one after the other, in memory that it keeps: the address of a peer may stand in the
// answers of thousands of names, and all of them are made anew when it changes. One thread's.
class ReadyBlockMaker {
 public:
  struct Parts;  // of one RRset

  ReadyBlockMaker();
  ~ReadyBlockMaker();
  ReadyBlockMaker(const ReadyBlockMaker&) = delete;
  ReadyBlockMaker& operator=(const ReadyBlockMaker&) = delete;

  // `owner`: a name in wire format, with the letters that it was given. `rrsets`: sorted by type,
  // none of them empty. Valid until the next call.
  BytesView make(BytesView owner, std::span<const RRsetView> rrsets,
                 const AddressSource& addresses);

 private:
  Bytes block_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace mutua::authority
