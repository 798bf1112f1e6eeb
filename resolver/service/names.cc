#include "resolver/service/names.h"

#include <algorithm>

#include "base/log.h"

namespace mutua::resolver {
namespace {

constexpr std::chrono::milliseconds kSweep{60'000};

}  // namespace

std::string key_of(const wire::Name& name) {
  std::string text = name.lowered().to_text();
  if (text.size() > 1 && text.back() == '.') text.pop_back();
  return text;
}

Names::Names(NamesSettings settings, EventLoop& loop, Discovery& discovery, Relay& relay,
             NamePublisher& publisher, AddressBook book, ConnectRedirect* redirect)
    : settings_(settings),
      loop_(loop),
      discovery_(discovery),
      relay_(relay),
      publisher_(publisher),
      redirect_(redirect),
      book_(std::move(book)) {}

void Names::begin() {
  std::vector<AddressBook::Entry> restored;
  for (const auto& entry : book_.entries()) {
    if (restored.size() == settings_.restored_names) break;
    restored.push_back(entry);
  }
  // The oldest first, so that the order of use stays.
  for (auto entry = restored.rbegin(); entry != restored.rend(); ++entry) {
    const auto name = wire::Name::parse(entry->name);
    if (!name) continue;
    // At once, as the authority described it last: whoever holds the address may connect now. What
    // the authority says today follows; while it cannot be asked, its last word serves on.
    open(entry->name, entry->name, entry->ports);
    lookup(*name, [this, key = entry->name](LookupAnswer answer) {
      if (answer.status == LookupAnswer::Status::not_held) close(key);
    });
  }
  loop_.after(kSweep, [this] { close_unused(); });
}

void Names::lookup(const wire::Name& name, std::function<void(LookupAnswer)> done) {
  discovery_.describe(name, [this, key = key_of(name), done = std::move(done)](
                                Result<Discovery::SharedDescription> description) mutable {
    if (loop_.runs_here()) return done(described(key, description));
    loop_.post([this, key = std::move(key), done = std::move(done),
                description = std::move(description)] { done(described(key, description)); });
  });
}

LookupAnswer Names::described(const std::string& name,
                              const Result<Discovery::SharedDescription>& description) {
  if (!description) {
    log::warning("lookup.failed", {{"name", name}, {"cause", description.error().message()}});
    return {LookupAnswer::Status::unavailable, {}, {}, {}};
  }
  if (!(*description)->held) {
    publisher_.withdraw(name);
    return {};
  }
  return open(name, key_of((*description)->canonical), (*description)->ports);
}

LookupAnswer Names::open(const std::string& name, const std::string& canonical,
                         const std::vector<ServicePort>& ports) {
  const auto entry = book_.assign(name, ports, [this](const std::string& other) {
    if (is_in_use(other)) return false;
    close(other);
    return true;
  });
  if (!entry) {
    log::error("lookup.failed", {{"name", name}, {"cause", entry.error().message()}});
    return {LookupAnswer::Status::unavailable, {}, {}, {}};
  }
  Opened& opened = opened_[name];
  opened.looked_up_at = loop_.now();
  if (opened.canonical != canonical) {
    for (const auto& [port, listeners] : opened.listeners)
      close_listeners(opened.address, port, listeners);
    opened.listeners.clear();
    opened.canonical = canonical;
  }
  opened.address = entry->address;
  const auto ready = open_listeners(opened, entry->address, ports);
  if (!ready) {
    if (!std::exchange(opened.failure_logged, true)) {
      log::error("lookup.failed", {{"name", name}, {"cause", ready.error().message()}});
    }
    publisher_.withdraw(name);
    return {LookupAnswer::Status::unavailable, {}, {}, {}};
  }
  opened.failure_logged = false;
  publisher_.publish(name, entry->address, settings_.answer_ttl);
  LookupAnswer answer{LookupAnswer::Status::found, entry->address, std::nullopt,
                      settings_.answer_ttl};
  if (settings_.ipv6) answer.ipv6 = settings_.ipv6->with(entry->address, 0);
  return answer;
}

Result<void> Names::open_listeners(Opened& opened, Ipv4 address,
                                   const std::vector<ServicePort>& ports) {
  for (auto listener = opened.listeners.begin(); listener != opened.listeners.end();) {
    if (std::find(ports.begin(), ports.end(), listener->first) != ports.end()) {
      ++listener;
      continue;
    }
    close_listeners(address, listener->first, listener->second);
    listener = opened.listeners.erase(listener);
  }
  if (opened.listeners.size() == ports.size()) return {};
  const std::size_t families = settings_.ipv6 ? 2 : 1;
  if (!make_room((ports.size() - opened.listeners.size()) * families)) {
    return errorf("listen for %s: all %zu listeners are in use", opened.canonical.c_str(),
                  settings_.listeners);
  }
  for (const ServicePort& port : ports) {
    if (opened.listeners.contains(port)) continue;
    std::vector<SocketAddress> places = {address.with_port(port.port)};
    if (settings_.ipv6) places.push_back(settings_.ipv6->with(address, port.port));
    auto& listeners = opened.listeners[port];
    for (const SocketAddress& place : places) {
      auto listener = relay_.open(place, Target{opened.canonical, port});
      if (!listener) {
        close_listeners(address, port, listeners);
        opened.listeners.erase(port);
        return listener.error();
      }
      listeners.push_back(std::move(*listener));
      ++listener_count_;
    }
    if (redirect_ && port.transport == Transport::tcp) TRY(redirect_->serve(address, port.port));
  }
  return {};
}

bool Names::was_used_since(const Opened& opened, SteadyTime limit) const {
  if (opened.looked_up_at > limit) return true;
  for (const auto& [port, listeners] : opened.listeners) {
    for (const auto& listener : listeners) {
      const auto use = relay_.use_of(listener);
      if (use.connections > 0 || use.used_at > limit) return true;
    }
  }
  return false;
}

// A program may be given the address for one TTL after a lookup, from the published table, and may
// keep it for another.
bool Names::is_in_use(const std::string& name) const {
  const auto opened = opened_.find(name);
  return opened != opened_.end() &&
         was_used_since(opened->second, loop_.now() - 2 * settings_.answer_ttl);
}

void Names::close_listeners(Ipv4 address, ServicePort port,
                            const std::vector<Relay::Handle>& listeners) {
  if (redirect_ && port.transport == Transport::tcp) redirect_->stop_serving(address, port.port);
  for (const auto& listener : listeners) relay_.close(listener);
  listener_count_ -= listeners.size();
}

// `name` by value: it may be the key of what goes.
void Names::close(std::string name) {
  const auto opened = opened_.find(name);
  if (opened == opened_.end()) return;
  for (const auto& [port, listeners] : opened->second.listeners)
    close_listeners(opened->second.address, port, listeners);
  opened_.erase(opened);
  publisher_.withdraw(name);
}

// Closes the names that were looked up longest ago until `listeners` more may be opened.
bool Names::make_room(std::size_t listeners) {
  while (listener_count_ + listeners > settings_.listeners) {
    auto oldest = opened_.end();
    for (auto one = opened_.begin(); one != opened_.end(); ++one) {
      if (one->second.listeners.empty() || is_in_use(one->first)) continue;
      if (oldest == opened_.end() || one->second.looked_up_at < oldest->second.looked_up_at)
        oldest = one;
    }
    if (oldest == opened_.end()) return false;
    close(oldest->first);
  }
  return true;
}

void Names::close_unused() {
  const SteadyTime limit = loop_.now() - settings_.close_unused;
  std::vector<std::string> unused;
  for (const auto& [name, opened] : opened_) {
    if (!was_used_since(opened, limit)) unused.push_back(name);
  }
  for (const std::string& name : unused) close(name);
  loop_.after(kSweep, [this] { close_unused(); });
}

std::optional<Ipv4> Names::synthetic(const SocketAddress& address) const {
  auto ipv4 = Ipv4::of(address);
  if (!ipv4 && settings_.ipv6) ipv4 = settings_.ipv6->ipv4_of(address);
  if (ipv4 && !book_.range().contains(*ipv4)) ipv4.reset();
  return ipv4;
}

std::optional<std::string> Names::name_of(const SocketAddress& address) const {
  const auto ipv4 = synthetic(address);
  const auto* entry = ipv4 ? book_.find(*ipv4) : nullptr;
  if (entry == nullptr) return std::nullopt;
  return entry->name;
}

std::map<std::pair<Ipv4, std::uint16_t>, Target> Names::tcp_services() const {
  std::map<std::pair<Ipv4, std::uint16_t>, Target> services;
  for (const auto& [name, opened] : opened_) {
    for (const auto& [port, listeners] : opened.listeners) {
      if (port.transport != Transport::tcp) continue;
      services.emplace(std::pair(opened.address, port.port), Target{opened.canonical, port});
    }
  }
  return services;
}

Names::Counts Names::counts() const { return {opened_.size(), listener_count_}; }

}  // namespace mutua::resolver
