#include "resolver/name_list/name_list.h"

#include "base/log.h"
#include "resolver/name_list/zone_transfer.h"

namespace mutua::resolver {
namespace {

constexpr std::chrono::seconds kRefresh{60}, kRetry{5};
constexpr std::chrono::milliseconds kPatience{10'000};
constexpr auto kOverdue = kRefresh + 2 * kPatience;  // no attempt has been made for so long
constexpr std::size_t kMostNames = 4'000'000;

}  // namespace

std::optional<wire::Name> looked_aside(const wire::Record& record, const wire::Name& zone) {
  if (record.type != wire::RRType::txt && record.type != wire::RRType::cname) return std::nullopt;
  const auto aside = zone.child("lookaside");
  if (!aside || !record.owner.is_at_or_below(*aside) || record.owner == *aside) return std::nullopt;
  std::string text;
  const auto own_labels = static_cast<unsigned>(record.owner.label_count() - aside->label_count());
  for (unsigned i = 0; i < own_labels; ++i) {
    const std::string_view label = record.owner.label(i);
    if (label.find_first_of(".\\") != std::string_view::npos) return std::nullopt;  // no hostname
    text += std::string(label) + ".";
  }
  const auto name = wire::Name::parse(text);
  return name ? std::optional(*name) : std::nullopt;
}

NameList::NameList(wire::Name zone, std::vector<SocketAddress> authorities,
                   std::optional<wire::TsigKey> transfer_key, std::chrono::seconds stale_for,
                   const Clock& clock)
    : zone_(std::move(zone)),
      authorities_(std::move(authorities)),
      transfer_key_(std::move(transfer_key)),
      stale_for_(stale_for),
      clock_(clock),
      tried_at_(clock.steady_now()),
      thread_([this] { run(); }) {}

NameList::~NameList() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void NameList::run() {
  for (;;) {
    fetch();
    std::unique_lock lock(mutex_);
    const auto age = clock_.steady_now() - fetched_at_;
    const auto pause = names_ && age < kRefresh ? kRefresh : kRetry;
    // The pause itself stands still while the machine sleeps.
    wake_.wait_for(lock, pause, [this] { return stopping_ || overdue_; });
    if (stopping_) return;
    overdue_ = false;
    tried_at_ = clock_.steady_now();
  }
}

void NameList::fetch() {
  std::string cause;
  for (const SocketAddress& authority : authorities_) {
    auto names = std::make_shared<LookasideNames>();
    const auto take = [&](const wire::Record& record) {
      if (names->size() >= kMostNames) return;
      if (const auto name = looked_aside(record, zone_)) names->insert(name->lowered().to_text());
    };
    const auto done = transfer_zone(authority, zone_, kPatience, transfer_key_, clock_, take);
    const std::lock_guard lock(mutex_);
    if (done) {
      names_ = std::move(names);
      fetched_at_ = clock_.steady_now();
      failure_logged_ = false;
      return;
    }
    cause = done.error().message();
    if (stopping_) return;
  }
  const std::lock_guard lock(mutex_);
  if (!std::exchange(failure_logged_, true))
    log::warning("name_list.unavailable", {{"zone", zone_.to_text()}, {"cause", cause}});
}

bool NameList::contains(const wire::Name& name) const {
  const std::lock_guard lock(mutex_);
  const SteadyTime now = clock_.steady_now();
  if (now - tried_at_ > kOverdue && !overdue_) {
    overdue_ = true;
    wake_.notify_all();
  }
  if (!names_ || now - fetched_at_ > stale_for_) return false;
  return names_->contains(name.lowered().to_text());
}

std::size_t NameList::size() const {
  const std::lock_guard lock(mutex_);
  return names_ ? names_->size() : 0;
}

}  // namespace mutua::resolver
