#include "zone_transfer/incoming_transfer.h"

#include <utility>

namespace mutua::zone_transfer {

using wire::RRType;

IncomingTransfer::IncomingTransfer(wire::Name apex, std::uint16_t id,
                                   std::optional<std::uint32_t> have, IncomingLimits limits)
    : apex_(std::move(apex)), id_(id), have_(have), limits_(limits) {}

Result<bool> IncomingTransfer::take(const wire::Message& message, std::size_t size) {
  const wire::Header& header = message.header;
  if (!header.response || header.id != id_ || header.opcode != wire::Opcode::query)
    return Error("not an answer to the request");
  if (header.rcode != wire::Rcode::noerror) return Error("answered " + to_text(header.rcode));
  if (header.truncated) return Error("truncated");
  const RRType asked = have_ ? RRType::ixfr : RRType::axfr;
  const bool names_question =
      message.question.size() == 1 &&
      message.question.front() == wire::Question{apex_, asked, wire::RRClass::in};
  // RFC 5936 section 2.2.1: messages after the first may go without.
  if (!names_question && (first_message_ || !message.question.empty()))
    return Error("an answer to another question");
  if (message.answer.empty()) return Error("a message without records");
  octets_ += size;
  if (octets_ > limits_.octets) return Error("more octets than a zone may have");
  first_message_ = false;
  for (const wire::Record& record : message.answer) TRY(take_record(record));
  // A primary that has nothing newer answers with its SOA alone (RFC 1995 section 2).
  if (stage_ == Stage::first_soa && have_ && !wire::serial_after(last_serial_, *have_))
    stage_ = Stage::done;
  return stage_ == Stage::done;
}

Result<void> IncomingTransfer::check(const wire::Record& record) {
  if (stage_ == Stage::done) return Error("records after the last");
  if (++records_ > limits_.records) return Error("more records than a zone may have");
  if (record.rclass != wire::RRClass::in || is_meta(record.type))
    return Error(record.owner.to_text() + ": " + to_text(record.type) + " of no zone");
  if (!record.owner.is_at_or_below(apex_))
    return Error(record.owner.to_text() + " lies outside the zone");
  if (record.type == RRType::soa && record.owner != apex_)
    return Error("a SOA at " + record.owner.to_text());
  return wire::check_rdata(record.type, record.rdata);
}

Result<void> IncomingTransfer::take_record(wire::Record record) {
  TRY(check(record));
  if (record.type == RRType::soa) {
    const std::uint32_t serial = TRY(wire::parse_soa(record.rdata)).serial;
    return take_soa(std::move(record), serial);
  }
  switch (stage_) {
    case Stage::nothing:
      return Error("the first record is no SOA");
    case Stage::first_soa:
      // Not a SOA: an IXFR is answered with the whole zone (RFC 1995 section 4).
      whole_.records.push_back(last_soa_);
      stage_ = Stage::whole;
      [[fallthrough]];
    case Stage::whole:
      whole_.records.push_back(std::move(record));
      break;
    case Stage::removing:
      differences_.steps.back().removed.push_back(std::move(record));
      break;
    case Stage::adding:
      differences_.steps.back().added.push_back(std::move(record));
      break;
    case Stage::done:
      break;  // check() saw to it
  }
  return {};
}

Result<void> IncomingTransfer::take_soa(wire::Record record, std::uint32_t serial) {
  switch (stage_) {
    case Stage::nothing:
      last_soa_ = std::move(record);
      last_serial_ = serial;
      stage_ = Stage::first_soa;
      return {};
    case Stage::first_soa:
      if (!have_ || (serial == last_serial_ && serial != *have_))
        return Error("a zone without records");
      at_serial_ = *have_;
      return begin_step(std::move(record), serial);
    case Stage::whole:
      if (record != last_soa_) return Error("the zone ends with another SOA than it began with");
      stage_ = Stage::done;
      return {};
    case Stage::removing:
      if (!wire::serial_after(serial, at_serial_)) return Error("a difference leads back");
      at_serial_ = serial;
      differences_.steps.back().new_soa = std::move(record);
      stage_ = Stage::adding;
      return {};
    case Stage::adding:
      if (at_serial_ != last_serial_) return begin_step(std::move(record), serial);
      if (record != last_soa_) return Error("the differences end with another SOA");
      stage_ = Stage::done;
      return {};
    case Stage::done:
      break;  // check() saw to it
  }
  return {};
}

Result<void> IncomingTransfer::begin_step(wire::Record soa, std::uint32_t serial) {
  if (serial != at_serial_)
    return errorf("a difference from serial %u, where %u was due", serial, at_serial_);
  differences_.steps.emplace_back().old_soa = std::move(soa);
  stage_ = Stage::removing;
  return {};
}

Received IncomingTransfer::finish() {
  BASE_ASSERT(stage_ == Stage::done);
  if (!whole_.records.empty()) return std::move(whole_);
  if (!differences_.steps.empty()) return std::move(differences_);
  return UpToDate{};
}

}  // namespace mutua::zone_transfer
