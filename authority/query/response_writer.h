#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "authority/query/request.h"
#include "authority/zone/ready_rrset.h"
#include "authority/zone/rrset_view.h"
#include "base/bytes.h"
#include "wire/edns.h"
#include "wire/types.h"

namespace mutua::authority {

enum class Section { answer, authority, additional };

// Where the owner of a record stands in the message already, so that it can be pointed at.
struct OwnerPlace {
  std::size_t at;  // 0: nowhere; then `name` is written out
  // The name at `at` is, uncompressed, the very name that owns the RRset in the zone: pointers
  // inside the prepared RDATA hold.
  bool is_zone_owner;
  BytesView name;  // uncompressed
};

// A COOKIE option's data in a response: the client's 8 octets, then the server's 16 (RFC 9018).
using FullCookie = std::array<std::uint8_t, 24>;

// What goes into the OPT record besides.
struct OptExtras {
  const FullCookie* cookie = nullptr;  // null: none
  bool pads = false;                   // to a multiple of 468 octets (RFC 8467 section 4.1)
};

// Writes one response into the caller's buffer. Room for the OPT record is set aside from the
// start. No allocation.
class ResponseWriter {
 public:
  // `limit`: octets that the response may have; at most out.size(), at least what a header, the
  // question and the OPT need.
  ResponseWriter(std::span<std::uint8_t> out, std::size_t limit, const Request& request,
                 const OptExtras& extras = {});

  // Whether the prepared form holds at this owner's place.
  static bool fits_prepared(const ReadyRRset& ready, const OwnerPlace& owner);

  // Right behind the question, which asks for the RRset's own owner: the RRset with the addresses
  // of its targets. False, and nothing written, where that is not prepared or does not fit.
  bool put_whole_answer(const ReadyRRset& ready);
  // The same with signatures; also false where there is room for more than is prepared.
  bool put_signed_answer(const ReadyRRset& ready);

  // Append a whole RRset: as prepared, for an owner's place where that holds, or record by record.
  // False, and nothing written, where it does not fit.
  bool put_prepared(Section section, const ReadyRRset& ready, std::size_t owner_at);
  bool put(Section section, const RRsetView& rrset, const OwnerPlace& owner);
  // Appends one record.
  bool put_record(Section section, wire::RRType type, std::uint32_t ttl, BytesView rdata,
                  const OwnerPlace& owner);

  // Where the next record will begin.
  std::size_t position() const { return size_; }
  bool has_answer() const { return counts_[0] != 0; }

  // Takes all records away and sets TC: the client asks again by TCP (RFC 2181 section 9).
  void truncate();

  void set_authoritative() { authoritative_ = true; }
  void set_recursion_available() { recursion_available_ = true; }
  void set_extended_error(wire::ExtendedError code) { extended_error_ = code; }

  // Writes header and OPT; the size of the response.
  std::size_t finish(wire::Rcode rcode);

 private:
  void count(Section section, std::size_t records) {
    auto& total = counts_[static_cast<std::size_t>(section)];
    total = static_cast<std::uint16_t>(total + records);
  }
  bool put_owned(wire::RRType type, std::uint32_t ttl, BytesView rdata, const OwnerPlace& owner);
  void put_opt(wire::Rcode rcode);
  void put_padding();

  std::uint8_t* const out_;
  std::size_t limit_;  // without the OPT's room
  const Request& request_;
  const OptExtras extras_;
  std::size_t size_ = 0;
  std::size_t question_end_ = 0;
  std::array<std::uint16_t, 3> counts_{};
  bool authoritative_ = false, truncated_ = false, recursion_available_ = false;
  std::optional<wire::ExtendedError> extended_error_;
};

}  // namespace mutua::authority
