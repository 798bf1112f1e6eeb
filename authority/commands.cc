#include "authority/commands.h"

#include <boost/json.hpp>

#include <cstdio>

#include "authority/federation/serve.h"
#include "control/control.h"

namespace mutua::authority {
namespace {

constexpr std::chrono::seconds kPatience{30};

Result<std::string> text_of(const boost::json::object& request, std::string_view key) {
  const auto* value = request.if_contains({key.data(), key.size()});
  if (!value || !value->is_string()) return Error(std::string(key) + " is missing");
  return std::string(value->get_string());
}

}  // namespace

Result<boost::json::object> handle_control(const Catalog& catalog, const FederationPolicy& policy,
                                           const boost::json::object& request) {
  if (TRY(text_of(request, "command")) != "explain") return Error("unknown command");
  const std::string service_text = TRY(text_of(request, "service"));
  const wire::Name service = TRY(wire::Name::parse(service_text));
  const auto port = ServicePort::parse(TRY(text_of(request, "port")));
  if (!port) return Error("not a port: expected 80/tcp or 53/udp");
  const auto version = catalog.current();
  const FederationIndex index(*version);
  const Explanation explanation =
      authority::explain(*version, index, policy, service, *port, TRY(text_of(request, "peer")));
  boost::json::array reasons;
  for (const std::string& reason : explanation.reasons) reasons.emplace_back(reason);
  return boost::json::object{{"served", explanation.served}, {"reasons", std::move(reasons)}};
}

Result<void> explain(const AuthorityConfig& config, const std::vector<std::string>& arguments) {
  if (config.control_socket.empty())
    return Error("explain: the configuration names no control_socket");
  const boost::json::object request{{"command", "explain"},
                                    {"service", arguments[0]},
                                    {"port", arguments[1]},
                                    {"peer", arguments[2]}};
  const auto answer = TRY(control::call(config.control_socket, request, {}, kPatience));
  std::puts(answer.at("served").as_bool() ? "served" : "not served");
  for (const auto& reason : answer.at("reasons").as_array())
    std::printf("  %s\n", reason.as_string().c_str());
  return {};
}

}  // namespace mutua::authority
