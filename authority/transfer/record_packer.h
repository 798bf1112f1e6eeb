#pragma once

#include <memory>
#include <optional>

#include "authority/transfer/outgoing_records.h"
#include "base/result.h"
#include "wire/message.h"

namespace mutua::authority {

// Puts the records of a transfer into response messages, as many into each as is sensible. Owners
// are compressed, RDATA is not. Not thread-safe.
class RecordPacker {
 public:
  // `request`: the parsed AXFR or IXFR; its question stands in the first message only
  // (RFC 5936 section 2.2.1).
  RecordPacker(const wire::Message& request, std::unique_ptr<OutgoingRecords> records);

  // The next message, with room left for a TSIG; empty at the end. Fails where one record is larger
  // than a message.
  Result<Bytes> next();

 private:
  void begin(Bytes& message);
  bool put(Bytes& message, const OutgoingRecord& record);
  void put_owner(Bytes& message, BytesView owner);

  const wire::Header header_;
  const wire::Question question_;
  const std::unique_ptr<OutgoingRecords> records_;
  std::optional<OutgoingRecord> pending_;
  bool is_first_ = true;
  // Of the message that is being filled.
  std::size_t apex_at_ = 0, owner_at_ = 0;  // 0: not there
  const std::uint8_t* owner_ = nullptr;     // at owner_at_
};

}  // namespace mutua::authority
