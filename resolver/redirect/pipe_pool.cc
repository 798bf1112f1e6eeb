#include "resolver/redirect/pipe_pool.h"

#include <fcntl.h>
#include <unistd.h>

namespace mutua::resolver {

Pipe PipePool::borrow() {
  if (lent_ >= limit_) return {};
  if (!idle_.empty()) {
    Pipe pipe = std::move(idle_.back());
    idle_.pop_back();
    ++lent_;
    return pipe;
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return {};
  ++lent_;
  fcntl(ends[1], F_SETPIPE_SZ, static_cast<int>(kCapacity));  // where not, the default will do
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void PipePool::give_back(Pipe pipe, Content content) {
  --lent_;
  if (content == Content::empty && idle_.size() < kMostIdle) idle_.push_back(std::move(pipe));
}

}  // namespace mutua::resolver
