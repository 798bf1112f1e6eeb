#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace mutua {

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "BUG: %s at %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace mutua
