#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/socket_address.h"
#include "wire/name.h"
#include "wire/tsig_key.h"

namespace mutua::authority {

// All addresses that begin with the same bits: "192.0.2.0/24", "2001:db8::/32", or one address.
class AddressPrefix {
 public:
  // Fails on what is no address, on more bits than it has, and on bits set behind the prefix.
  static Result<AddressPrefix> parse(std::string_view text);

  // Whatever the port. (IPv6 listeners take no IPv4: there are no mapped addresses.)
  bool contains(const SocketAddress& address) const { return contains(address.address_octets()); }
  bool contains(BytesView octets) const;  // 4 or 16, in network order

 private:
  SocketAddress address_;
  unsigned bits_ = 0;
};

// Who may have the zone: whoever asks from there, and signs with this key where one is named.
struct TransferRule {
  AddressPrefix from;
  std::optional<wire::Name> key;
  bool needs_tls = false;  // and nobody listens in
};

// `key`: the one that the request was signed with, if it was.
bool permits(const std::vector<TransferRule>& rules, const SocketAddress& source, bool tls,
             const std::optional<wire::Name>& key);

// Who hears of every change (RFC 1996), signed with the key where there is one.
struct NotifyTarget {
  SocketAddress address;
  std::optional<wire::TsigKey> key;
};

struct TransferConfig {
  std::vector<TransferRule> rules;  // none: nobody may
  std::vector<wire::TsigKey> keys;  // that requests may be signed with
  std::vector<NotifyTarget> notify;
};

}  // namespace mutua::authority
