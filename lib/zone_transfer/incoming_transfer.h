#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "wire/message.h"
#include "wire/rdata.h"

namespace mutua::zone_transfer {

// What a primary may send before it is taken for hostile.
struct IncomingLimits {
  std::size_t octets = std::size_t{4} << 30;
  std::size_t records = 50'000'000;
};

// The primary has nothing newer.
struct UpToDate {};
// AXFR, or the answer to an IXFR that is one: every record once, one SOA among them.
struct WholeZone {
  std::vector<wire::Record> records;
};
// IXFR: one step for each version, oldest first. The SOAs stand apart.
struct Difference {
  wire::Record old_soa, new_soa;
  std::vector<wire::Record> removed, added;
};
struct Differences {
  std::vector<Difference> steps;
};
using Received = std::variant<UpToDate, WholeZone, Differences>;

// Puts the answer to an AXFR or IXFR together, message by message (RFC 5936 section 2.2, RFC 1995
// section 4). PURE. Refuses what does not belong to the zone: records outside it, other classes,
// meta types, more SOAs than there may be, differences that do not follow one another or do not end
// where they said. What was begun and not finished is worth nothing: there is no way to take it.
class IncomingTransfer {
 public:
  // `have`: the serial that the IXFR was sent with; nothing for an AXFR.
  IncomingTransfer(wire::Name apex, std::uint16_t id, std::optional<std::uint32_t> have,
                   IncomingLimits limits = {});

  // The next message, of `size` octets; its TSIG is the caller's. True once the last record came:
  // no message may follow.
  Result<bool> take(const wire::Message& message, std::size_t size);

  // What came. After take() was true.
  Received finish();

  // In place of finish(), for an AXFR that is not to be in memory as a whole: what has come since the
  // last call, the SOA first and not again at the end. It is worth something once take() was true.
  std::vector<wire::Record> take_records() { return std::exchange(whole_.records, {}); }

 private:
  enum class Stage { nothing, first_soa, whole, removing, adding, done };

  Result<void> take_record(wire::Record record);
  Result<void> take_soa(wire::Record record, std::uint32_t serial);
  Result<void> begin_step(wire::Record soa, std::uint32_t serial);
  Result<void> check(const wire::Record& record);

  const wire::Name apex_;
  const std::uint16_t id_;
  const std::optional<std::uint32_t> have_;
  const IncomingLimits limits_;
  Stage stage_ = Stage::nothing;
  bool first_message_ = true;
  std::size_t octets_ = 0, records_ = 0;
  wire::Record last_soa_;          // the newest, which comes first
  std::uint32_t last_serial_ = 0;  // its serial
  std::uint32_t at_serial_ = 0;    // where the differences have led so far
  WholeZone whole_;
  Differences differences_;
};

}  // namespace mutua::zone_transfer
