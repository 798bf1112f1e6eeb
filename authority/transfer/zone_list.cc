#include "authority/transfer/zone_list.h"

#include <utility>

#include "base/encoding.h"
#include "trust/digest.h"
#include "wire/rdata.h"

namespace mutua::authority {
namespace {

using wire::RRType;

// Section 4.1: nobody resolves names of a catalog zone, so its records need not live.
constexpr std::uint32_t kTtl = 0;
constexpr std::uint32_t kRefresh = 3600, kRetry = 600, kExpire = 2'419'200, kMinimum = 0;
constexpr std::size_t kLabelOctets = 20;  // of a SHA-256, as 32 characters of base32
constexpr std::size_t kLongestText = 255;

OwnedRRset one(wire::Name owner, RRType type, Bytes rdata) {
  return {std::move(owner), {type, kTtl, {std::move(rdata)}}};
}

Bytes text(std::string_view characters) {
  Bytes rdata{static_cast<std::uint8_t>(characters.size())};
  append(rdata, as_bytes(characters));
  return rdata;
}

}  // namespace

Result<std::shared_ptr<const ZoneVersion>> list_of_zones(const ZoneListConfig& config,
                                                         const wire::Name& member,
                                                         std::uint32_t serial) {
  if (config.group.size() > kLongestText) return Error("a group has at most 255 characters");
  const wire::Name& apex = config.name;
  const wire::Name nobody = TRY(wire::Name::parse("invalid."));
  const trust::Digest digest = trust::sha256(member.lowered().wire());
  const wire::Name zones = TRY(apex.child("zones"));
  const wire::Name place = TRY(zones.child(base32_encode(digest.octets().first(kLabelOctets))));
  std::vector<OwnedRRset> rrsets;
  rrsets.push_back(
      one(apex, RRType::soa,
          wire::make_soa({nobody, nobody, serial, kRefresh, kRetry, kExpire, kMinimum})));
  rrsets.push_back(one(apex, RRType::ns, to_bytes(nobody.wire())));
  rrsets.push_back(one(TRY(apex.child("version")), RRType::txt, text("2")));
  rrsets.push_back(one(place, RRType::ptr, to_bytes(member.wire())));
  if (!config.group.empty())
    rrsets.push_back(one(TRY(place.child("group")), RRType::txt, text(config.group)));
  return ZoneVersion::create(apex, std::move(rrsets));
}

Result<std::unique_ptr<ZoneList>> ZoneList::create(const ZoneListConfig& config,
                                                   const wire::Name& member,
                                                   const TransferConfig& transfer,
                                                   const Clock& clock) {
  const auto serial = static_cast<std::uint32_t>(clock.wall_now().time_since_epoch().count());
  std::unique_ptr<ZoneList> list(new ZoneList(TRY(list_of_zones(config, member, serial))));
  list->notifier_ = TRY(Notifier::create(transfer.notify, list->versions_, clock));
  return list;
}

}  // namespace mutua::authority
