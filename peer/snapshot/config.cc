#include "peer/snapshot/config.h"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>

#include "peer/snapshot/json_fields.h"

namespace mutua::peer {
namespace {

constexpr std::size_t kMostPorts = 16;
constexpr std::size_t kMostBases = 8;
constexpr std::size_t kMostChecks = 16;
constexpr std::uint64_t kMostMemoryMib = 1 << 20;

Result<bool> yes_no_field(const boost::json::object& fields, const char* name) {
  const std::string text = TRY(text_field(fields, name));
  if (text != "yes" && text != "no")
    return Error(std::string("field ") + name + ": expected yes or no");
  return text == "yes";
}

boost::json::array print_texts(const std::vector<std::string>& texts) {
  boost::json::array values;
  for (const std::string& text : texts) values.emplace_back(text);
  return values;
}

}  // namespace

Result<ServicePort> ServicePort::parse(std::string_view text) {
  ServicePort port;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), port.number);
  const std::string_view rest(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const bool known = rest == "/tcp" || rest == "/udp";
  if (failure != std::errc{} || port.number == 0 || !known) {
    return errorf("not a port (80/tcp, 53/udp): %s", std::string(text).c_str());
  }
  port.transport = rest == "/tcp" ? Transport::tcp : Transport::udp;
  return port;
}

std::string ServicePort::to_text() const {
  return std::to_string(number) + (transport == Transport::tcp ? "/tcp" : "/udp");
}

Result<SnapshotConfig> parse_snapshot_config(BytesView json) {
  const auto fields = TRY(parse_json_object(json, kLargestSnapshotConfigBytes));
  SnapshotConfig config;
  config.service = TRY(text_field(fields, "service"));
  config.engine = TRY(text_field(fields, "engine"));
  config.memory_mib = static_cast<unsigned>(TRY(number_field(fields, "memoryMib", kMostMemoryMib)));
  config.address = TRY(text_field(fields, "address"));
  config.own_identity = TRY(yes_no_field(fields, "ownIdentity"));
  config.outbound = TRY(yes_no_field(fields, "outbound"));
  const std::vector<std::string> ports = TRY(texts_field(fields, "ports", kMostPorts));
  for (const std::string& text : ports) config.ports.push_back(TRY(ServicePort::parse(text)));
  if (config.ports.empty()) return Error("field ports: expected at least one");
  config.bases = TRY(texts_field(fields, "bases", kMostBases));
  config.created = TRY(text_field(fields, "created"));
  config.checks = TRY(texts_field(fields, "checks", kMostChecks));
  return config;
}

Bytes print_snapshot_config(const SnapshotConfig& config) {
  boost::json::array ports;
  for (const ServicePort& port : config.ports) ports.emplace_back(port.to_text());
  return to_bytes(std::string_view(boost::json::serialize(
      boost::json::object{{"service", config.service},
                          {"engine", config.engine},
                          {"memoryMib", config.memory_mib},
                          {"address", config.address},
                          {"ownIdentity", config.own_identity ? "yes" : "no"},
                          {"outbound", config.outbound ? "yes" : "no"},
                          {"ports", std::move(ports)},
                          {"bases", print_texts(config.bases)},
                          {"created", config.created},
                          {"checks", print_texts(config.checks)}})));
}

}  // namespace mutua::peer
