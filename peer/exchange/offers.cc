#include "peer/exchange/offers.h"

namespace mutua::peer {

void Offers::set(const std::string& service, Offer offer) {
  const std::lock_guard lock(mutex_);
  offers_[service] = std::make_shared<const Offer>(std::move(offer));
}

void Offers::remove(const std::string& service) {
  const std::lock_guard lock(mutex_);
  offers_.erase(service);
}

std::shared_ptr<const Offer> Offers::find(const std::string& service) const {
  const std::lock_guard lock(mutex_);
  const auto found = offers_.find(service);
  return found == offers_.end() ? nullptr : found->second;
}

}  // namespace mutua::peer
