#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace mutua {

// A value that may be replaced while others use it: each user has the one of the moment and keeps it
// for as long as it likes. Thread-safe; a mutex is held for an instant.
template <typename Value>
class Replaceable {
 public:
  explicit Replaceable(Value value) : value_(std::make_shared<const Value>(std::move(value))) {}

  std::shared_ptr<const Value> get() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }
  void replace(Value value) {
    auto next = std::make_shared<const Value>(std::move(value));
    const std::lock_guard lock(mutex_);
    value_.swap(next);  // the former dies after the lock, or with its last user
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Value> value_;
};

}  // namespace mutua
