#pragma once

#include <vector>

#include "wire/message.h"
#include "wire/rrset.h"

namespace mutua::resolver {

// An RRset with the RDATA of the RRSIGs that say they cover it.
struct SignedRRset {
  wire::Name owner;
  wire::RRset rrset;  // normalized; its TTL is the least of its records'
  std::vector<Bytes> signatures;
};

// The RRsets of one section of a message, class IN only, in the order in which they came; at most
// 128, with at most 8 signatures each: what is beyond is left out, and so goes unproven.
std::vector<SignedRRset> signed_rrsets(const std::vector<wire::Record>& section);

const SignedRRset* find(const std::vector<SignedRRset>& all, const wire::Name& owner,
                        wire::RRType type);

// The records of it, signatures and all, with this TTL.
void append_records(std::vector<wire::Record>& out, const SignedRRset& rrset, std::uint32_t ttl);

}  // namespace mutua::resolver
