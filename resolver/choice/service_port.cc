#include "resolver/choice/service_port.h"

#include <charconv>

namespace mutua::resolver {

std::string to_text(const ServicePort& port) {
  return std::to_string(port.port) + (port.transport == Transport::tcp ? "/tcp" : "/udp");
}

std::optional<ServicePort> parse_service_port(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto transport = text.substr(slash + 1);
  if (transport != "tcp" && transport != "udp") return std::nullopt;
  std::uint16_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + slash, number);
  if (problem != std::errc() || end != text.data() + slash || number == 0) return std::nullopt;
  return ServicePort{number, transport == "tcp" ? Transport::tcp : Transport::udp};
}

}  // namespace mutua::resolver
