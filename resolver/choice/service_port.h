#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mutua::resolver {

enum class Transport : std::uint8_t { tcp, udp };

// A port of a service, as the owner's TXT names it.
struct ServicePort {
  std::uint16_t port = 0;
  Transport transport = Transport::tcp;
  auto operator<=>(const ServicePort&) const = default;
};

std::string to_text(const ServicePort& port);  // "80/tcp"
std::optional<ServicePort> parse_service_port(std::string_view text);

}  // namespace mutua::resolver
