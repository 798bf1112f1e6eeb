#include "authority/query/response_writer.h"

#include <algorithm>
#include <cstring>

#include "wire/message.h"

namespace mutua::authority {
namespace {

constexpr std::uint16_t kPointer = 0xC000;
constexpr std::size_t kLastPointerTarget = 0x3FFF;
constexpr std::size_t kOptSize = 11;
constexpr std::size_t kExtendedErrorSize = 6;
constexpr std::size_t kFixedSize = 10;  // TYPE, CLASS, TTL, RDLENGTH
constexpr std::size_t kOptionHeaderSize = 4;
constexpr std::size_t kPaddedTo = 468;  // octets, a multiple of them

// Set aside for the OPT record. Padding takes what is left of a stream's message, if anything.
std::size_t opt_room(const Request& request, const OptExtras& extras) {
  if (!request.has_edns) return 0;
  return kOptSize + kExtendedErrorSize +
         (extras.cookie ? kOptionHeaderSize + extras.cookie->size() : 0) +
         (extras.pads ? kOptionHeaderSize : 0);
}

}  // namespace

ResponseWriter::ResponseWriter(std::span<std::uint8_t> out, std::size_t limit,
                               const Request& request, const OptExtras& extras)
    : out_(out.data()),
      limit_(std::min(limit, out.size()) - opt_room(request, extras)),
      request_(request),
      extras_(extras) {
  std::copy(request.question.begin(), request.question.end(), out_ + wire::kHeaderSize);
  size_ = question_end_ = wire::kHeaderSize + request.question.size();
}

bool ResponseWriter::fits_prepared(const ReadyRRset& ready, const OwnerPlace& owner) {
  // Without pointers inside the RDATA it does not matter what name stands at the owner's place.
  const bool only_owner_pointers = ready.pointer_count == ready.record_count;
  return owner.at != 0 && owner.at + kLargestName <= kLastPointerTarget &&
         (owner.is_zone_owner || only_owner_pointers);
}

bool ResponseWriter::put_whole_answer(const ReadyRRset& ready) {
  const BytesView octets = ready.whole_answer();
  if (!ready.has_glue || limit_ - size_ < octets.size()) return false;
  std::memcpy(out_ + size_, octets.data(), octets.size());
  size_ += octets.size();
  count(Section::answer, ready.record_count);
  count(Section::additional, ready.glue_count);
  return true;
}

bool ResponseWriter::put_signed_answer(const ReadyRRset& ready) {
  const BytesView octets = ready.octets(), signatures = ready.signatures(),
                  glue = ready.signed_glue();
  const std::size_t whole = octets.size() + signatures.size() + glue.size();
  if (ready.signature_count == 0 || limit_ - size_ < whole) return false;
  if (!ready.has_all_signed && limit_ > wire::kEdnsUdpSize) return false;
  for (const BytesView part : {octets, signatures, glue}) {
    std::memcpy(out_ + size_, part.data(), part.size());
    size_ += part.size();
  }
  count(Section::answer, std::size_t{ready.record_count} + ready.signature_count);
  count(Section::additional, ready.signed_glue_count);
  return true;
}

bool ResponseWriter::put_prepared(Section section, const ReadyRRset& ready, std::size_t owner_at) {
  const BytesView octets = ready.octets();
  if (ready.record_count == 0 || limit_ - size_ < octets.size()) return false;
  std::uint8_t* const start = out_ + size_;
  std::memcpy(start, octets.data(), octets.size());
  if (owner_at != kQuestionNameOffset) {
    for (const std::uint16_t at : ready.pointers())
      store_u16(start + at,
                static_cast<std::uint16_t>(load_u16(start + at) + owner_at - kQuestionNameOffset));
  }
  size_ += octets.size();
  count(section, ready.record_count);
  return true;
}

bool ResponseWriter::put(Section section, const RRsetView& rrset, const OwnerPlace& owner) {
  const std::size_t start = size_;
  std::size_t records = 0;
  for (const BytesView rdata : rrset) {
    if (put_owned(rrset.type(), rrset.ttl_of(rdata), rdata, owner)) {
      ++records;
      continue;
    }
    size_ = start;
    return false;
  }
  count(section, records);
  return true;
}

bool ResponseWriter::put_record(Section section, wire::RRType type, std::uint32_t ttl,
                                BytesView rdata, const OwnerPlace& owner) {
  if (!put_owned(type, ttl, rdata, owner)) return false;
  count(section, 1);
  return true;
}

bool ResponseWriter::put_owned(wire::RRType type, std::uint32_t ttl, BytesView rdata,
                               const OwnerPlace& owner) {
  const bool pointed_at = owner.at != 0 && owner.at <= kLastPointerTarget;
  const std::size_t owner_size = pointed_at ? 2 : owner.name.size();
  if (limit_ - size_ < owner_size + kFixedSize + rdata.size()) return false;
  std::uint8_t* at = out_ + size_;
  if (pointed_at)
    store_u16(at, static_cast<std::uint16_t>(kPointer | owner.at));
  else
    std::memcpy(at, owner.name.data(), owner_size);
  at += owner_size;
  store_u16(at, static_cast<std::uint16_t>(type));
  store_u16(at + 2, static_cast<std::uint16_t>(wire::RRClass::in));
  store_u32(at + 4, ttl);
  store_u16(at + 8, static_cast<std::uint16_t>(rdata.size()));
  std::copy(rdata.begin(), rdata.end(), at + kFixedSize);
  size_ += owner_size + kFixedSize + rdata.size();
  return true;
}

void ResponseWriter::truncate() {
  size_ = question_end_;
  counts_ = {};
  truncated_ = true;
}

std::size_t ResponseWriter::finish(wire::Rcode rcode) {
  if (request_.has_edns) put_opt(rcode);
  store_u16(out_, request_.id);
  out_[2] =
      static_cast<std::uint8_t>(0x80 | request_.opcode << 3 | (authoritative_ ? 0x04 : 0) |
                                (truncated_ ? 0x02 : 0) | (request_.recursion_desired ? 1 : 0));
  out_[3] = static_cast<std::uint8_t>((recursion_available_ ? 0x80 : 0) |
                                      (request_.checking_disabled ? 0x10 : 0) |
                                      (static_cast<unsigned>(rcode) & 15));
  store_u16(out_ + 4, request_.question.empty() ? 0 : 1);
  store_u16(out_ + 6, counts_[0]);
  store_u16(out_ + 8, counts_[1]);
  store_u16(out_ + 10, static_cast<std::uint16_t>(counts_[2] + (request_.has_edns ? 1 : 0)));
  return size_;
}

// RFC 6891 section 6.1: nothing of the request is echoed but DO.
void ResponseWriter::put_opt(wire::Rcode rcode) {
  std::uint8_t* const opt = out_ + size_;
  opt[0] = 0;
  store_u16(opt + 1, static_cast<std::uint16_t>(wire::RRType::opt));
  store_u16(opt + 3, wire::kEdnsUdpSize);
  opt[5] = static_cast<std::uint8_t>(static_cast<unsigned>(rcode) >> 4);
  opt[6] = 0;  // version
  store_u16(opt + 7, request_.dnssec_ok ? 0x8000 : 0);
  const std::size_t options_at = size_ + kOptSize;
  size_ = options_at;
  if (extended_error_) {  // RFC 8914 section 2
    std::uint8_t* const option = out_ + size_;
    store_u16(option, wire::edns_code::extended_error);
    store_u16(option + 2, 2);
    store_u16(option + 4, static_cast<std::uint16_t>(*extended_error_));
    size_ += kExtendedErrorSize;
  }
  if (extras_.cookie) {
    std::uint8_t* const option = out_ + size_;
    store_u16(option, wire::edns_code::cookie);
    store_u16(option + 2, static_cast<std::uint16_t>(extras_.cookie->size()));
    std::copy(extras_.cookie->begin(), extras_.cookie->end(), option + kOptionHeaderSize);
    size_ += kOptionHeaderSize + extras_.cookie->size();
  }
  if (extras_.pads) put_padding();
  store_u16(opt + 9, static_cast<std::uint16_t>(size_ - options_at));
}

// The last option: the message ends where it ends.
void ResponseWriter::put_padding() {
  const std::size_t unpadded = size_ + kOptionHeaderSize;
  const std::size_t whole = (unpadded + kPaddedTo - 1) / kPaddedTo * kPaddedTo;
  const std::size_t padding = std::min(whole, wire::kLargestMessage) - unpadded;
  store_u16(out_ + size_, wire::edns_code::padding);
  store_u16(out_ + size_ + 2, static_cast<std::uint16_t>(padding));
  std::memset(out_ + unpadded, 0, padding);
  size_ = unpadded + padding;
}

}  // namespace mutua::authority
