#include "authority/server/cookies.h"

#include <algorithm>
#include <string>

#include "base/encoding.h"
#include "trust/random.h"

namespace mutua::authority {
namespace {

constexpr std::size_t kClientSize = 8;
constexpr std::size_t kHashAt = 16;  // of a full cookie
constexpr std::uint8_t kVersion = 1;
// RFC 9018 section 4.3, in seconds.
constexpr std::int32_t kLongestLife = 3600, kRenewedAfter = 1800, kMostAhead = 300;

void seal(FullCookie& cookie, const SipKey& secret, BytesView source) {
  std::array<std::uint8_t, kHashAt + 16> input;
  std::copy_n(cookie.begin(), kHashAt, input.begin());
  std::copy(source.begin(), source.end(), input.begin() + kHashAt);
  const std::uint64_t hash = siphash(secret, BytesView(input).first(kHashAt + source.size()));
  std::memcpy(cookie.data() + kHashAt, &hash, sizeof hash);
}

// Takes the same time wherever the difference lies.
bool same(const FullCookie& one, BytesView other) {
  unsigned difference = 0;
  for (std::size_t i = 0; i < one.size(); ++i) difference |= unsigned{one[i]} ^ other[i];
  return difference == 0;
}

}  // namespace

Result<std::vector<SipKey>> Cookies::parse_secrets(std::string_view text) {
  std::vector<SipKey> secrets;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    const auto octets = hex_decode(line);
    if (!octets || octets->size() != sizeof(SipKey))
      return Error("a cookie secret has 32 hexadecimal digits");
    std::copy(octets->begin(), octets->end(), secrets.emplace_back().begin());
  }
  if (secrets.empty()) return Error("there is no cookie secret");
  return secrets;
}

Cookies Cookies::random() {
  SipKey secret;
  const Bytes octets = trust::random_bytes(secret.size());
  std::copy(octets.begin(), octets.end(), secret.begin());
  return Cookies({secret});
}

Cookies::Verdict Cookies::judge(BytesView option, BytesView source, std::uint32_t now) const {
  Verdict verdict{false, {}};
  FullCookie& cookie = verdict.answer;
  std::copy_n(option.begin(), kClientSize, cookie.begin());
  cookie[kClientSize] = kVersion;
  if (option.size() == cookie.size() && option[kClientSize] == kVersion) {
    const std::uint32_t made = load_u32(option.data() + kClientSize + 4);
    const auto age = static_cast<std::int32_t>(now - made);  // serial arithmetic
    if (age <= kLongestLife && age >= -kMostAhead) {
      std::copy_n(option.begin(), kHashAt, cookie.begin());
      for (const SipKey& secret : secrets_) {
        seal(cookie, secret, source);
        if (!same(cookie, option)) continue;
        verdict.is_valid = true;
        if (age <= kRenewedAfter && &secret == &secrets_.front()) return verdict;
        break;
      }
    }
  }
  std::fill(cookie.begin() + kClientSize + 1, cookie.begin() + kClientSize + 4, std::uint8_t{0});
  store_u32(cookie.data() + kClientSize + 4, now);
  seal(cookie, secrets_.front(), source);
  return verdict;
}

}  // namespace mutua::authority
