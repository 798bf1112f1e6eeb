#pragma once

#include <cstddef>
#include <functional>

namespace mutua {

// Calls work(0) to work(count - 1), each once, on all processors, and returns when all are done.
// Where there is little to do it stays on the caller's thread. The helpers step back behind whoever
// answers questions.
void in_parallel(std::size_t count, const std::function<void(std::size_t)>& work);

}  // namespace mutua
