#pragma once

#include <vector>

#include "wire/message.h"
#include "wire/rrset.h"

namespace mutua::zone_transfer {

// What a transfer's records do to RRsets. A primary that sends an RRset with several TTLs breaks
// RFC 2181 section 5.2; the last one counts.

// The RRsets of a whole zone, normalized, by owner in canonical order and then by type.
std::vector<wire::OwnedRRset> rrsets_of(std::vector<wire::Record> records);

// Afterwards to be normalized.
void add_to(wire::RRset& rrset, wire::Record record);
// The record may be written with other letters. False where it is not there.
bool remove_from(wire::RRset& rrset, const wire::Record& record);

}  // namespace mutua::zone_transfer
