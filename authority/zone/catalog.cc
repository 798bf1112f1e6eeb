#include "authority/zone/catalog.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace mutua::authority {

Catalog::Catalog(std::shared_ptr<const ZoneVersion> first)
    : newest_(first.get()), owner_of_newest_(std::move(first)) {
  BASE_ASSERT(owner_of_newest_ != nullptr);
}

Catalog::~Catalog() { BASE_ASSERT(slots_.empty()); }

std::shared_ptr<const ZoneVersion> Catalog::current() const {
  const std::lock_guard lock(mutex_);
  return owner_of_newest_;
}

// Why a pinned version lives: pin() stores its epoch and then loads the pointer; publish() stores
// the pointer, then raises the epoch, then looks at the slots; all of it sequentially consistent.
// If publish() finds a slot at 0, that reader's next load of the pointer comes after the store and
// gets the new version. If it finds the raised epoch or a later one, the reader read the epoch
// after the store of the pointer, and its load gets the new version as well. Only a slot with an
// older epoch may stand for the old version, and keeps it.
void Catalog::publish(std::shared_ptr<const ZoneVersion> next) {
  BASE_ASSERT(next != nullptr);
  BASE_ASSERT(next->is_renewed());
  const std::lock_guard lock(mutex_);
  if (next == owner_of_newest_) return;
  newest_.store(next.get());
  const std::uint64_t epoch = epoch_.fetch_add(1) + 1;
  retired_.push_back({std::exchange(owner_of_newest_, std::move(next)), epoch});
}

void Catalog::reclaim() {
  std::vector<std::shared_ptr<const ZoneVersion>> reclaimed;  // dies after the lock
  const std::lock_guard lock(mutex_);
  reclaimed = take_reclaimable();
}

std::vector<std::shared_ptr<const ZoneVersion>> Catalog::take_reclaimable() {
  std::uint64_t oldest_pinned = epoch_.load();
  for (const ReaderSlot& slot : slots_) {
    const std::uint64_t pinned = slot.pinned_epoch.load();
    if (pinned != 0) oldest_pinned = std::min(oldest_pinned, pinned);
  }
  std::vector<std::shared_ptr<const ZoneVersion>> free;
  const auto kept =
      std::stable_partition(retired_.begin(), retired_.end(),
                            [&](const Retired& retired) { return retired.epoch > oldest_pinned; });
  for (auto it = kept; it != retired_.end(); ++it) free.push_back(std::move(it->version));
  retired_.erase(kept, retired_.end());
  return free;
}

std::size_t Catalog::retired_count() const {
  const std::lock_guard lock(mutex_);
  return retired_.size();
}

Catalog::ReaderSlot& Catalog::add_reader() {
  const std::lock_guard lock(mutex_);
  return slots_.emplace_back();
}

void Catalog::remove_reader(const ReaderSlot& slot) {
  const std::lock_guard lock(mutex_);
  slots_.remove_if([&](const ReaderSlot& candidate) { return &candidate == &slot; });
}

Catalog::Reader::Reader(Catalog& catalog) : catalog_(catalog), slot_(catalog.add_reader()) {}

Catalog::Reader::~Reader() { catalog_.remove_reader(slot_); }

Catalog::Pin Catalog::Reader::pin() {
  slot_.pinned_epoch.store(catalog_.epoch_.load());
  return Pin(slot_, catalog_.newest_.load());
}

}  // namespace mutua::authority
