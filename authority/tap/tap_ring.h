#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/bytes.h"
#include "base/counter.h"

namespace mutua::authority {

// Something that was said between a client and the authority. Views.
struct TapExchange {
  enum class Kind : std::uint8_t { question, update };
  enum class Protocol : std::uint8_t { udp, tcp, tls };

  Kind kind = Kind::question;
  Protocol protocol = Protocol::udp;
  BytesView peer;  // 4 or 16 octets
  std::uint16_t port = 0;
  std::int64_t query_time = 0, response_time = 0;  // nanoseconds since 1970
  BytesView query, response;  // empty: of the other one alone (65,535 octets at most, both)
};

// The wall clock, for one batch of exchanges.
std::int64_t tap_time();

// The way of exchanges from one thread that answers to the one that writes them out: memory of a
// fixed size, no lock, nothing that waits. What there is no room for is dropped and counted.
//
//   size | kind, protocol, address size | ports, sizes | times | address | query | response | …
//
// A record lies in one piece; what is left at the end of the memory is skipped.
class TapRing {
 public:
  static constexpr std::size_t kDefaultSize = std::size_t{4} << 20;  // octets; a power of two

  explicit TapRing(std::size_t size = kDefaultSize);

  // The one thread that answers. What was recorded is seen with the next publish().
  void record(const TapExchange& exchange);
  void publish() { head_.store(next_, std::memory_order_release); }

  // The one thread that writes: every exchange that was published, oldest first; how many.
  unsigned drain(const std::function<void(const TapExchange&)>& take);

  const Counter& dropped() const { return dropped_; }  // any thread

 private:
  struct Header;
  std::uint8_t* at(std::uint64_t position) const {
    return memory_.get() + (position & (size_ - 1));
  }
  std::uint8_t* reserve(std::size_t size);

  const std::size_t size_;
  const std::unique_ptr<std::uint8_t[]> memory_;
  // Positions count up for ever. Each side's own in cache lines of its own.
  alignas(64) std::atomic<std::uint64_t> head_{0};
  std::uint64_t next_ = 0, known_tail_ = 0;  // of the thread that answers
  Counter dropped_;
  alignas(64) std::atomic<std::uint64_t> tail_{0};
};

}  // namespace mutua::authority
