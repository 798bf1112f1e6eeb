#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace mutua::authority {

// Frames of one queue of a network interface, in memory that is shared with the kernel (AF_XDP).
// One thread at a time.
class XdpSocket {
 public:
  static constexpr std::size_t kFrameSize = 2048;  // octets that there is room for

  static Result<std::unique_ptr<XdpSocket>> create(const std::string& interface,
                                                   std::uint32_t queue);
  virtual ~XdpSocket() = default;

  virtual int descriptor() const = 0;

  // Waits for frames, but not longer.
  virtual void wait(std::chrono::milliseconds longest) = 0;
  // Frames that came, as many as there are and fit; how many. Valid until release().
  virtual unsigned receive(std::span<BytesView> frames) = 0;
  // Gives all that receive() brought back to the kernel.
  virtual void release() = 0;

  // Where the next frame to send is to be written; empty where all memory is under way still.
  virtual std::span<std::uint8_t> place() = 0;
  // Queues what was written there.
  virtual void send(std::size_t size) = 0;
  // Hands what is queued to the kernel. What the interface has no room for is lost.
  virtual void flush() = 0;
};

}  // namespace mutua::authority
