#pragma once

#include <vector>

#include "authority/store/zone_store.h"
#include "authority/zone/change_set.h"
#include "base/bytes.h"
#include "base/result.h"

namespace mutua::authority {

// How change sets and RRsets lie in a database. All numbers are big-endian.
//
//   rdatas     := count:u16 (length:u16 octets)*
//   rrset      := ttl:u32 rdatas
//   change     := owner_length:u8 owner type:u16 has:u8 [before:rrset] [after:rrset]
//                 `has`: bit 0 for before, bit 1 for after
//   change set := from:u32 to:u32 count:u32 change*
//
//   name        := length:u8 octets
//   lease       := owner:name host:name key:32 expiry:u64 key_expiry:u64     expiry 0: none
//   replay      := key:32 fingerprint:32 signed_at:u64 expiry:u64
//   transaction := count:u32 change set* count:u32 lease* count:u32 name*
//                  count:u32 replay* count:u32 replay*
//                  changes, leases, removed leases, replays, removed replays
//
// Decoding fails on anything but exactly one well-formed value.
Bytes encode_rdatas(const std::vector<Bytes>& rdatas);
Result<std::vector<Bytes>> decode_rdatas(BytesView bytes);

Bytes encode_change_set(const ChangeSet& change);
Result<ChangeSet> decode_change_set(BytesView bytes);

Bytes encode_transaction(const Transaction& transaction);
Result<Transaction> decode_transaction(BytesView bytes);

}  // namespace mutua::authority
