#include "authority/transfer/record_packer.h"

#include <algorithm>
#include <array>
#include <utility>

namespace mutua::authority {
namespace {

constexpr std::size_t kTsigRoom = 640;  // two names, a MAC of 64 octets, the fixed fields
constexpr std::size_t kFullMessage = wire::kLargestMessage - kTsigRoom;
constexpr std::size_t kLastPointerTarget = 0x3FFF;
// A message is sent once it is this large, so that pointers lead to every owner in it: one record
// more may make it larger.
constexpr std::size_t kEnough = kLastPointerTarget;

}  // namespace

RecordPacker::RecordPacker(const wire::Message& request, std::unique_ptr<OutgoingRecords> records)
    : header_(request.response(wire::Rcode::noerror).header),
      question_(request.question.front()),
      records_(std::move(records)),
      pending_(records_->next()) {}

Result<Bytes> RecordPacker::next() {
  if (!pending_) return Bytes();
  Bytes message;
  begin(message);
  std::uint16_t count = 0;
  while (pending_ && message.size() < kEnough && put(message, *pending_)) {
    ++count;
    pending_ = records_->next();
  }
  if (count == 0) return Error("transfer: a record is larger than a message");
  store_u16(message.data() + 6, count);
  is_first_ = false;
  return message;
}

void RecordPacker::begin(Bytes& message) {
  wire::Message head;
  head.header = header_;
  head.header.authoritative = true;
  if (is_first_) head.question.push_back(question_);
  message = head.to_wire();
  message.reserve(kEnough + 1024);
  apex_at_ = is_first_ ? wire::kHeaderSize : 0;
  owner_at_ = 0;
  owner_ = nullptr;
}

// False, with the message as it was, where the record does not fit.
bool RecordPacker::put(Bytes& message, const OutgoingRecord& record) {
  const std::size_t largest = record.owner.size() + 10 + record.rdata.size();
  if (message.size() + largest > kFullMessage) return false;
  put_owner(message, record.owner);
  std::array<std::uint8_t, 10> fields;
  store_u16(fields.data(), static_cast<std::uint16_t>(record.type));
  store_u16(fields.data() + 2, static_cast<std::uint16_t>(wire::RRClass::in));
  store_u32(fields.data() + 4, record.ttl);
  store_u16(fields.data() + 8, static_cast<std::uint16_t>(record.rdata.size()));
  append(message, fields);
  append(message, record.rdata);
  return true;
}

// A pointer where the owner is that of the record before; else its labels and a pointer to the
// apex.
void RecordPacker::put_owner(Bytes& message, BytesView owner) {
  const auto point_at = [&](std::size_t place) {
    append_u16(message, static_cast<std::uint16_t>(0xC000 | place));
  };
  if (owner_ == owner.data() && owner_at_ != 0) return point_at(owner_at_);
  const std::size_t apex_size = question_.name.wire().size();
  const std::size_t labels_size = owner.size() - apex_size;
  const std::size_t at = message.size();
  owner_ = owner.data();
  owner_at_ = at <= kLastPointerTarget ? at : 0;
  append(message, owner.first(labels_size));
  if (apex_at_ != 0) return point_at(apex_at_);
  apex_at_ = at + labels_size;
  append(message, question_.name.wire());
}

}  // namespace mutua::authority
