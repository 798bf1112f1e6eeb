#pragma once

#include <cstddef>
#include <vector>

#include "base/unique_fd.h"

namespace mutua::resolver {

struct Pipe {
  UniqueFd read_end, write_end;
  explicit operator bool() const { return static_cast<bool>(read_end); }
};

// Empty pipes for splice(2). A flow borrows one only while octets are in it, so idle connections
// hold none, and a few warm pipes serve thousands of connections. Used on one thread.
class PipePool {
 public:
  // At most `limit` pipes are lent at a time.
  explicit PipePool(std::size_t limit) : limit_(limit) {}

  // An empty pipe; false when all are lent or the system has none to give.
  Pipe borrow();
  // Takes back a pipe; one with octets in it is closed.
  enum class Content { empty, octets };
  void give_back(Pipe pipe, Content content);

  static constexpr std::size_t kCapacity =
      256 * 1024;  // octets asked for; the system may give less

 private:
  static constexpr std::size_t kMostIdle = 64;
  const std::size_t limit_;
  std::size_t lent_ = 0;
  std::vector<Pipe> idle_;
};

}  // namespace mutua::resolver
