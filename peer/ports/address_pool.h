#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace mutua::peer {

constexpr unsigned kMostMachines = 200;

// The private addresses of this host's machines: 10.0.0.1 for the first, 10.0.0.2 for the second…
// Thread-safe.
class AddressPool {
 public:
  explicit AddressPool(unsigned capacity);  // at most kMostMachines

  // One machine's place, given back at the end of its life. May outlive the pool.
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&&) noexcept = default;
    Lease& operator=(Lease&& other) noexcept;
    ~Lease();
    unsigned number() const { return number_; }
    std::string address() const;

   private:
    friend class AddressPool;
    struct Slots;
    Lease(std::shared_ptr<Slots> slots, unsigned number)
        : slots_(std::move(slots)), number_(number) {}
    void release();
    std::shared_ptr<Slots> slots_;
    unsigned number_ = 0;
  };

  // The lowest free place; an error where all `capacity` are taken.
  Result<Lease> take();
  unsigned capacity() const;

 private:
  std::shared_ptr<Lease::Slots> slots_;
};

}  // namespace mutua::peer
