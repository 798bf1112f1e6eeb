#include "resolver/local_api/control_commands.h"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <future>

namespace mutua::resolver {
namespace {

namespace json = boost::json;

constexpr std::chrono::seconds kPatience{10};

// Runs `begin(done)` and waits for what it gives to `done`.
template <typename Value, typename Begin>
Result<Value> wait_for(const char* what, Begin begin) {
  auto promise = std::make_shared<std::promise<Value>>();
  auto future = promise->get_future();
  begin([promise](Value value) { promise->set_value(std::move(value)); });
  if (future.wait_for(kPatience) != std::future_status::ready)
    return errorf("%s: no answer in time", what);
  return future.get();
}

double milliseconds(auto duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

json::object to_json(const ExplainedCandidate& explained) {
  const Health& health = explained.health;
  json::object object;
  object["address"] = explained.candidate.address.to_text();
  object["target"] = explained.candidate.target;
  object["priority"] = explained.candidate.priority;
  object["weight"] = explained.candidate.weight;
  object["standing"] = to_string(explained.ranked.standing);
  object["why"] = explained.why;
  object["visits"] = health.visits;
  if (health.smoothed_rtt) object["rtt_ms"] = milliseconds(*health.smoothed_rtt);
  if (health.bandwidth) object["bandwidth_mbit_s"] = *health.bandwidth * 8 / 1e6;
  if (explained.ranked.predicted)
    object["predicted_ms"] = milliseconds(*explained.ranked.predicted);
  object["consecutive_failures"] = health.consecutive_failures;
  if (!health.last_failure.empty()) object["last_failure"] = health.last_failure;
  return object;
}

json::array to_json(const std::vector<Authorities::Standing>& standings) {
  using State = Authorities::Standing::State;
  json::array list;
  for (const auto& one : standings) {
    json::object object{{"address", one.address.to_text()},
                        {"standing", one.state == State::answers ? "answers"
                                     : one.state == State::away  ? "away"
                                                                 : "untried"}};
    if (one.rtt) object["rtt_ms"] = milliseconds(*one.rtt);
    if (!one.last_failure.empty()) object["last_failure"] = one.last_failure;
    list.emplace_back(std::move(object));
  }
  return list;
}

// What is trusted, and what follows from it.
void add_trust(json::object& status, const ZoneClient& zone) {
  status["validates"] = zone.validates();
  if (!zone.validates()) return;
  const auto known = zone.key_status();
  status["proven_answers"] = known.answers;
  status["refused_answers"] = known.refused;
  json::array keys;
  if (known.keys) {
    for (const ZoneKeys::Key& key : known.keys->all()) {
      keys.emplace_back(json::object{{"tag", key.tag},
                                     {"algorithm", static_cast<unsigned>(key.key.algorithm())},
                                     {"trust_anchor", key.is_anchored}});
    }
  }
  status["zone_keys"] = std::move(keys);
  if (!known.last_flaw.empty()) status["zone_keys_missing"] = known.last_flaw;
}

json::object to_json(const Mirror::Status& mirror) {
  json::object object{{"serves", mirror.serves}};
  if (mirror.names != 0) {
    object["serial"] = mirror.serial;
    object["names"] = mirror.names;
    object["proven_by"] = mirror.by_digest ? "zonemd" : "signatures";
    object["age_s"] = mirror.age.count();
    object["valid_until"] = rfc3339(mirror.valid_until);
  }
  if (!mirror.last_failure.empty()) object["last_failure"] = mirror.last_failure;
  return object;
}

}  // namespace

Result<json::object> ControlCommands::handle(const json::object& request) {
  const auto* command = request.if_contains("command");
  if (command == nullptr || !command->is_string()) return Error("a request needs a \"command\"");
  if (command->get_string() == "lookup") return lookup(request);
  if (command->get_string() == "status") return status();
  if (command->get_string() == "flush") return flush();
  return Error("unknown command: " + std::string(command->get_string()));
}

Result<json::object> ControlCommands::lookup(const json::object& request) {
  const auto* host = request.if_contains("host");
  const auto* port = request.if_contains("port");
  const auto* transport = request.if_contains("transport");
  if (host == nullptr || !host->is_string()) return Error("lookup needs a \"host\"");
  if (port == nullptr || !port->is_int64() || port->get_int64() < 1 || port->get_int64() > 65535) {
    return Error("lookup needs a \"port\" from 1 to 65535");
  }
  const bool udp =
      transport != nullptr && transport->is_string() && transport->get_string() == "udp";
  const ServicePort service{static_cast<std::uint16_t>(port->get_int64()),
                            udp ? Transport::udp : Transport::tcp};
  const auto name = TRY(wire::Name::parse(std::string(host->get_string())));

  using Described = Result<Discovery::SharedDescription>;
  const auto described = TRY(wait_for<Described>(
      "lookup", [&](auto done) { parts_.discovery.describe(name, std::move(done)); }));
  const auto description = TRY(Described(described));
  json::object result{{"host", key_of(name)}, {"held", description->held}};
  if (!description->held) return result;
  const auto answer = TRY(wait_for<LookupAnswer>("lookup", [&](auto done) {
    parts_.loop.post([this, name, done] { parts_.names.lookup(name, done); });
  }));
  if (answer.status == LookupAnswer::Status::found) result["address"] = answer.address.to_text();
  result["canonical"] = key_of(description->canonical);
  json::array ports;
  for (const ServicePort& one : description->ports) ports.emplace_back(to_text(one));
  result["ports"] = std::move(ports);

  using Found = Result<Discovery::SharedCandidates>;
  const auto found = TRY(wait_for<Found>("lookup", [&](auto done) {
    parts_.discovery.find(description->canonical, service, Discovery::Freshness::cached,
                          std::move(done));
  }));
  const auto candidates = TRY(Found(found));
  json::array list;
  for (const auto& explained : parts_.chooser.explained(*candidates))
    list.emplace_back(to_json(explained));
  result["candidates"] = std::move(list);
  return result;
}

Result<json::object> ControlCommands::status() {
  struct OnLoop {
    Names::Counts names;
    std::size_t services_in_kernel;
    ConnectRedirect::Cover cover;
  };
  const auto [names, services_in_kernel, cover] = TRY(wait_for<OnLoop>("status", [&](auto done) {
    parts_.loop.post([this, done] {
      done(OnLoop{parts_.names.counts(), parts_.routes ? parts_.routes->count() : 0,
                  parts_.routes ? parts_.routes->cover() : ConnectRedirect::Cover{}});
    });
  }));
  const auto counts = parts_.discovery.counts();
  json::object status{{"redirect", parts_.routes ? "kernel" : "relay"},
                      {"services_in_kernel", services_in_kernel},
                      {"handed_over", cover.handed_over},
                      {"interfaces", json::array(cover.interfaces.begin(), cover.interfaces.end())},
                      {"names", names.names},
                      {"listeners", names.listeners},
                      {"connections", parts_.relay.connection_count()},
                      {"peers", parts_.health.size()},
                      {"cached_descriptions", counts.descriptions},
                      {"cached_lists", counts.lists},
                      {"questions", counts.questions},
                      {"failed_questions", counts.failures},
                      {"authorities", to_json(parts_.authorities.standings())}};
  add_trust(status, parts_.zone);
  if (parts_.mirror) status["mirror"] = to_json(parts_.mirror->status());
  return status;
}

Result<json::object> ControlCommands::flush() {
  parts_.discovery.flush();
  parts_.zone.forget_keys();
  parts_.health.clear();
  return json::object{};
}

}  // namespace mutua::resolver
