#include "peer/registration/srp_message.h"

#include <algorithm>

#include "peer/registration/update_message.h"
#include "trust/peer_id.h"
#include "wire/rdata.h"

namespace mutua::peer {
namespace {

using wire::RRType;

constexpr std::chrono::hours kKeyLease{14 * 24};
constexpr std::uint32_t kLongestTtl = 30;  // seconds; a record must not outlive its lease in caches

struct CommitmentNames {
  wire::Name list;      // _80._tcp.<service>
  wire::Name instance;  // <peer>._80._tcp.<service>
};

Result<CommitmentNames> names_of(const Commitment& commitment, const std::string& peer) {
  const wire::Name list = TRY(port_name(commitment.service, commitment.port, commitment.transport));
  return CommitmentNames{list, TRY(list.child(peer))};
}

// A peer's id is 32 characters and the zone's name was checked at the start: these always fit.
wire::Name host_name_of(const ZoneNames& names, const std::string& peer) {
  auto name = names.host(peer);
  BASE_ASSERT(name.ok());
  return std::move(*name);
}

}  // namespace

SrpMessages::SrpMessages(ZoneNames names, HostDescription host, std::chrono::seconds lease)
    : names_(std::move(names)),
      host_(std::move(host)),
      lease_(lease),
      peer_(trust::peer_id(host_.key)),
      host_name_(host_name_of(names_, peer_)) {}

void SrpMessages::describe_host(UpdateMessage& update) const {
  const std::uint32_t ttl = std::min(kLongestTtl, static_cast<std::uint32_t>(lease_.count()));
  update.remove_name(host_name_);
  update.add(host_name_, RRType::key, ttl, trust::key_rdata(host_.key));
  for (const SocketAddress& address : host_.addresses) {
    const BytesView octets = address.address_octets();
    update.add(host_name_, octets.size() == 4 ? RRType::a : RRType::aaaa, ttl, to_bytes(octets));
  }
}

Result<void> SrpMessages::describe(UpdateMessage& update, const Commitment& commitment) const {
  const std::uint32_t ttl = std::min(kLongestTtl, static_cast<std::uint32_t>(lease_.count()));
  const CommitmentNames names = TRY(names_of(commitment, peer_));
  Bytes txt = TRY(wire::make_txt({"v=1", "manifest=" + commitment.manifest.to_text()}));
  update.add(names.list, RRType::ptr, ttl, to_bytes(names.instance.wire()));
  update.remove_name(names.instance);
  update.add(names.instance, RRType::srv, ttl,
             wire::make_srv({0, 0, commitment.mapped_port, host_name_}));
  update.add(names.instance, RRType::txt, ttl, std::move(txt));
  return {};
}

wire::Message SrpMessages::finished(UpdateMessage update, std::chrono::seconds lease) const {
  update.message.edns->options.push_back(wire::make_update_lease({lease, kKeyLease}));
  return std::move(update.message);
}

Result<wire::Message> SrpMessages::registration(const std::vector<Commitment>& commitments,
                                                Lease lease) const {
  const std::uint32_t ttl = std::min(kLongestTtl, static_cast<std::uint32_t>(lease_.count()));
  UpdateMessage update(names_.zone());
  describe_host(update);
  const wire::Name type = TRY(names_.exchange_type());
  const wire::Name exchange = TRY(names_.exchange(peer_));
  Bytes txt = TRY(wire::make_txt({"v=1", "capacity=" + std::to_string(host_.capacity)}));
  update.add(type, RRType::ptr, ttl, to_bytes(exchange.wire()));
  update.remove_name(exchange);
  update.add(exchange, RRType::srv, ttl, wire::make_srv({0, 0, host_.exchange_port, host_name_}));
  update.add(exchange, RRType::txt, ttl, std::move(txt));
  for (const Commitment& commitment : commitments) TRY(describe(update, commitment));
  return finished(std::move(update), lease == Lease::remove ? std::chrono::seconds(0) : lease_);
}

Result<wire::Message> SrpMessages::commitment(const Commitment& commitment) const {
  UpdateMessage update(names_.zone());
  describe_host(update);
  TRY(describe(update, commitment));
  return finished(std::move(update), lease_);
}

Result<wire::Message> SrpMessages::withdrawal(const Commitment& commitment) const {
  UpdateMessage update(names_.zone());
  describe_host(update);
  const CommitmentNames names = TRY(names_of(commitment, peer_));
  update.remove_record(names.list, RRType::ptr, to_bytes(names.instance.wire()));
  update.remove_name(names.instance);
  return finished(std::move(update), lease_);
}

}  // namespace mutua::peer
