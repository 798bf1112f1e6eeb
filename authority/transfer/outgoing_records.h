#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "authority/zone/change_history.h"
#include "authority/zone/zone_version.h"
#include "base/bytes.h"
#include "wire/name.h"
#include "wire/types.h"

namespace mutua::authority {

// One record on its way out; refers to what its source holds.
struct OutgoingRecord {
  BytesView owner;  // the same octets, at the same place, for records of one owner in succession
  wire::RRType type;
  std::uint32_t ttl;
  BytesView rdata;
};

// The records of one transfer in their order.
class OutgoingRecords {
 public:
  virtual ~OutgoingRecords() = default;
  // The next record, valid until the call after; nothing at the end.
  virtual std::optional<OutgoingRecord> next() = 0;
};

// RFC 5936: the SOA, everything else, the SOA again.
std::unique_ptr<OutgoingRecords> whole_zone(std::shared_ptr<const ZoneVersion> version);

// RFC 1995: the new SOA; for each change set the old SOA, what goes, its new SOA, what comes; the
// new SOA again. Of an RRset only the records that differ go over the wire. With an empty path: the
// SOA alone, which says that there is nothing new.
std::unique_ptr<OutgoingRecords> differences(std::shared_ptr<const ZoneVersion> version,
                                             ChangeHistory::Path path);

}  // namespace mutua::authority
