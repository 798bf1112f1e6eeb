#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "base/result.h"

namespace mutua::authority {

// Frame Streams (fstrm) with the content of dnstap, to a unix socket that a reader listens on, or
// to a file. One thread at a time.
class FrameStream {
 public:
  enum class Target { socket, file };

  // Connects and shakes hands, or begins the file anew (mode 0600). `stopping` outlives the stream:
  // where it is set, nothing waits any more.
  static Result<std::unique_ptr<FrameStream>> open(Target target, const std::filesystem::path& path,
                                                   const std::atomic<bool>& stopping);
  // Says that this was the end.
  virtual ~FrameStream() = default;

  // Fails where the reader is gone, or takes nothing for a second; the stream is of no use then.
  virtual Result<void> write(std::span<const BytesView> frames) = 0;
};

}  // namespace mutua::authority
