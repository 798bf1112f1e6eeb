#pragma once

#include <cstdint>

#include "base/result.h"

namespace mutua::vm::qemu {

// Makes the first `bytes` of the file `to` those of `from`, page by page, touching only pages that
// differ: where `to` has holes, pages of zeroes stay holes. A copy of a file that is being written
// is done by calling it twice, the second time, when nobody writes, for what changed meanwhile.
// `from` must not gain holes between the two. Returns the pages that became other than zero.
Result<std::uint64_t> copy_changes(int from, int to, std::uint64_t bytes);

}  // namespace mutua::vm::qemu
