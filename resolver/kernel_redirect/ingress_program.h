#pragma once

#include <cstdint>
#include <utility>

#include "base/result.h"
#include "base/unique_fd.h"

namespace mutua::resolver {

// A program of type BPF_PROG_TYPE_SCHED_CLS that sees what an interface receives, before anybody of
// the network layer does; it ends with the object. How it is attached:
//   link    Linux 6.6 and later: it ends with the process, too, however that ends
//   filter  before: a filter of tc(8), of our own priority and handle, which a killed process leaves
//           behind. attach() and sweep() take its place. The clsact qdisc that it needs stays: it may
//           have become somebody else's, too
class IngressProgram {
 public:
  enum class Way { best, filter };
  static Result<IngressProgram> attach(int program, std::uint32_t interface, Way way = Way::best);
  // Detaches what a killed process has left behind on all interfaces.
  static void sweep();

  ~IngressProgram();
  IngressProgram(IngressProgram&& other) noexcept
      : link_(std::move(other.link_)), filtered_(std::exchange(other.filtered_, 0)) {}
  IngressProgram& operator=(IngressProgram&&) = delete;

 private:
  IngressProgram(UniqueFd link, std::uint32_t filtered)
      : link_(std::move(link)), filtered_(filtered) {}
  UniqueFd link_;
  std::uint32_t filtered_;  // the interface; 0: it is a link
};

}  // namespace mutua::resolver
