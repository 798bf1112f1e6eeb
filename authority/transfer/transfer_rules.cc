#include "authority/transfer/transfer_rules.h"

#include <algorithm>
#include <charconv>
#include <string>

namespace mutua::authority {
namespace {

// Whether the first `bits` bits are the same.
bool same_bits(BytesView one, BytesView other, unsigned bits) {
  const std::size_t whole = bits / 8;
  if (!std::equal(one.begin(), one.begin() + static_cast<std::ptrdiff_t>(whole), other.begin()))
    return false;
  if (bits % 8 == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xFF << (8 - bits % 8));
  return (one[whole] & mask) == (other[whole] & mask);
}

}  // namespace

Result<AddressPrefix> AddressPrefix::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  std::string address(text.substr(0, slash));
  if (address.find(':') != std::string::npos && !address.starts_with('['))
    address = "[" + address + "]";
  AddressPrefix prefix;
  prefix.address_ = TRY(SocketAddress::parse(address, 0));
  if (prefix.address_.port() != 0) return Error("a prefix has no port: " + std::string(text));
  const BytesView octets = prefix.address_.address_octets();
  const auto all = static_cast<unsigned>(octets.size() * 8);
  prefix.bits_ = all;
  if (slash == std::string_view::npos) return prefix;
  const std::string_view bits = text.substr(slash + 1);
  const auto [end, problem] = std::from_chars(bits.data(), bits.data() + bits.size(), prefix.bits_);
  if (problem != std::errc() || end != bits.data() + bits.size() || prefix.bits_ > all)
    return Error("not a prefix length: " + std::string(text));
  for (unsigned bit = prefix.bits_; bit < all; ++bit)
    if ((octets[bit / 8] >> (7 - bit % 8) & 1) != 0)
      return Error("bits are set behind the prefix: " + std::string(text));
  return prefix;
}

bool AddressPrefix::contains(BytesView octets) const {
  const BytesView mine = address_.address_octets();
  return mine.size() == octets.size() && same_bits(mine, octets, bits_);
}

bool permits(const std::vector<TransferRule>& rules, const SocketAddress& source, bool tls,
             const std::optional<wire::Name>& key) {
  return std::any_of(rules.begin(), rules.end(), [&](const TransferRule& rule) {
    return rule.from.contains(source) && (tls || !rule.needs_tls) && (!rule.key || rule.key == key);
  });
}

}  // namespace mutua::authority
