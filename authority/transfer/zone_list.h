#pragma once

#include <memory>
#include <optional>
#include <string>

#include "authority/transfer/notifier.h"
#include "authority/transfer/transfer_rules.h"
#include "authority/zone/catalog.h"
#include "authority/zone/change_history.h"
#include "base/clock.h"
#include "base/result.h"
#include "wire/name.h"

namespace mutua::authority {

// The catalog zone by which secondaries learn what zone to follow (RFC 9432).
struct ZoneListConfig {
  wire::Name name;    // neither in the zone that it lists nor above it
  std::string group;  // which of their templates secondaries are to take; empty: theirs to choose
};

// The version of the catalog zone that lists `member`: SOA and NS "invalid.", the schema's version,
// and the member under a label that is the same as long as its name is (section 4.1). Fails where the
// group is too long for a character-string.
Result<std::shared_ptr<const ZoneVersion>> list_of_zones(const ZoneListConfig& config,
                                                         const wire::Name& member,
                                                         std::uint32_t serial);

// A catalog zone as it is transferred and notified. What it lists follows from the configuration,
// hence stays as long as the process; its serial is the time of the start, so that whoever follows
// it looks again after each.
class ZoneList {
 public:
  static Result<std::unique_ptr<ZoneList>> create(const ZoneListConfig& config,
                                                  const wire::Name& member,
                                                  const TransferConfig& transfer,
                                                  const Clock& clock);

  const Catalog& versions() const { return versions_; }
  const ChangeHistory& history() const { return history_; }
  // Lives as long as the list.
  const ZoneVersion& version() const { return *version_; }
  Notifier& notifier() { return *notifier_; }
  // Tells the secondaries.
  void start() { notifier_->start(); }
  void stop() { notifier_->stop(); }

 private:
  explicit ZoneList(std::shared_ptr<const ZoneVersion> version)
      : version_(version), versions_(std::move(version)) {}

  const std::shared_ptr<const ZoneVersion> version_;
  Catalog versions_;
  ChangeHistory history_;
  std::unique_ptr<Notifier> notifier_;
};

}  // namespace mutua::authority
