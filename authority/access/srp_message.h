#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "authority/access/refusal.h"
#include "base/bytes.h"
#include "wire/edns.h"
#include "wire/message.h"
#include "wire/name.h"

namespace mutua::authority {

// One service of an SRP update: a Service Description with its PTR.
struct SrpService {
  wire::Name instance;
  std::vector<wire::Record> records;  // SRV and TXT to add; none where the service is removed
  bool is_removed() const { return records.empty(); }
};

// An SRP update (RFC 9665 section 3.3.1), read. Only the message was looked at, not the zone.
struct SrpRegistration {
  wire::Name host;
  Bytes key_rdata;
  std::vector<wire::Record> host_records;  // the KEY, A, AAAA
  std::vector<SrpService> services;
  wire::UpdateLease requested;
};

// The Update Lease option makes the difference: an update that carries it asks to be SRP.
bool asks_to_be_srp(const wire::Message& message);

// Reads an update that asks to be SRP and was signed by `signer`. Refuses whatever has not the
// shape: no prerequisites; one host description (delete all; one KEY; A and AAAA) at the signer's
// name; service descriptions (delete all; one SRV to that host; TXT, perhaps the same KEY); for
// each a PTR to it at its parent name; nothing else. Service subtypes are refused.
std::variant<SrpRegistration, Refusal> read_srp(const wire::Message& message,
                                                const wire::Name& signer);

}  // namespace mutua::authority
