#include "authority/access/source_limits.h"

#include <algorithm>
#include <chrono>

namespace mutua::authority {
namespace {

constexpr std::chrono::seconds kWindow(1);
constexpr std::size_t kPrefixOctets = 8;

}  // namespace

std::string SourceLimits::key_of(const SocketAddress& source, bool tcp) {
  const BytesView octets = source.address_octets();
  const std::size_t length = octets.size() == 16 ? kPrefixOctets : octets.size();
  return (tcp ? "t" : "u") + std::string(as_text(octets.first(length)));
}

bool SourceLimits::allows(const SocketAddress& source, bool tcp, SteadyTime now) const {
  if (!tcp && udp_is_closed(now)) return false;
  const auto found = windows_.find(key_of(source, tcp));
  if (found == windows_.end() || now - found->second.start >= kWindow) return true;
  return found->second.failures < kFailuresPerSecond;
}

void SourceLimits::count_failure(const SocketAddress& source, bool tcp, SteadyTime now) {
  if (windows_.size() >= kSources) {
    std::erase_if(windows_, [&](const auto& entry) { return now - entry.second.start >= kWindow; });
    // Thousands of sources within one second: forged ones. Forgetting them all costs little.
    if (windows_.size() >= kSources) windows_.clear();
  }
  Window& window = windows_[key_of(source, tcp)];
  if (now - window.start >= kWindow) window = Window{now, 0};
  ++window.failures;
  if (tcp) return;
  if (now - all_udp_.start >= kWindow) all_udp_ = Window{now, 0};
  if (++all_udp_.failures < kUdpFailuresPerSecond) return;
  udp_closed_until_.store((all_udp_.start + kWindow).time_since_epoch().count(),
                          std::memory_order_relaxed);
}

}  // namespace mutua::authority
