#include "peer/ports/address_pool.h"

#include <mutex>

namespace mutua::peer {

struct AddressPool::Lease::Slots {
  std::mutex mutex;
  std::vector<bool> taken;
};

AddressPool::AddressPool(unsigned capacity) : slots_(std::make_shared<Lease::Slots>()) {
  BASE_ASSERT(capacity <= kMostMachines);
  slots_->taken.resize(capacity);
}

unsigned AddressPool::capacity() const { return static_cast<unsigned>(slots_->taken.size()); }

Result<AddressPool::Lease> AddressPool::take() {
  const std::lock_guard lock(slots_->mutex);
  for (unsigned index = 0; index < slots_->taken.size(); ++index) {
    if (slots_->taken[index]) continue;
    slots_->taken[index] = true;
    return Lease(slots_, index + 1);
  }
  return errorf("all %u machines of this peer are in use (see 'capacity' in its configuration)",
                capacity());
}

AddressPool::Lease& AddressPool::Lease::operator=(Lease&& other) noexcept {
  if (this == &other) return *this;
  release();
  slots_ = std::move(other.slots_);
  number_ = other.number_;
  return *this;
}

AddressPool::Lease::~Lease() { release(); }

void AddressPool::Lease::release() {
  if (!slots_) return;
  const std::lock_guard lock(slots_->mutex);
  slots_->taken[number_ - 1] = false;
}

std::string AddressPool::Lease::address() const { return "10.0.0." + std::to_string(number_); }

}  // namespace mutua::peer
