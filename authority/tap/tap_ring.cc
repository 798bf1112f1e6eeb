#include "authority/tap/tap_ring.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>

#include "base/assert.h"

namespace mutua::authority {

struct TapRing::Header {
  std::uint32_t size;  // of the record, a multiple of 8
  bool is_filler;
  TapExchange::Kind kind;
  TapExchange::Protocol protocol;
  std::uint8_t address_size;
  std::uint16_t port, query_size, response_size, unused;
  std::int64_t query_time, response_time;
  std::array<std::uint8_t, 16> address;
};

namespace {

constexpr std::size_t kFillerHead = 8;  // octets of a header that a filler has room for at least

std::size_t aligned(std::size_t size) { return (size + 7) & ~std::size_t{7}; }

}  // namespace

std::int64_t tap_time() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

TapRing::TapRing(std::size_t size) : size_(size), memory_(new std::uint8_t[size]) {
  BASE_ASSERT((size & (size - 1)) == 0);
}

// Room in one piece for a record of this size; nullptr where there is none.
std::uint8_t* TapRing::reserve(std::size_t size) {
  const std::size_t to_end = size_ - (next_ & (size_ - 1));
  const std::size_t filler = size > to_end ? to_end : 0;
  const auto has_room = [&] { return next_ + filler + size - known_tail_ <= size_; };
  if (!has_room()) known_tail_ = tail_.load(std::memory_order_acquire);
  if (!has_room()) return nullptr;
  if (filler != 0) {
    static_assert(offsetof(Header, is_filler) < kFillerHead);
    Header header{};
    header.size = static_cast<std::uint32_t>(filler);
    header.is_filler = true;
    std::memcpy(at(next_), &header, kFillerHead);
    next_ += filler;
  }
  return at(next_);
}

void TapRing::record(const TapExchange& exchange) {
  Header header{};
  const std::size_t content = exchange.query.size() + exchange.response.size();
  const std::size_t size = aligned(sizeof header + content);
  std::uint8_t* const place = reserve(size);
  if (!place) return dropped_.add(1);
  header.size = static_cast<std::uint32_t>(size);
  header.kind = exchange.kind;
  header.protocol = exchange.protocol;
  header.address_size = static_cast<std::uint8_t>(exchange.peer.size());
  header.port = exchange.port;
  header.query_size = static_cast<std::uint16_t>(exchange.query.size());
  header.response_size = static_cast<std::uint16_t>(exchange.response.size());
  header.query_time = exchange.query_time;
  header.response_time = exchange.response_time;
  std::ranges::copy(exchange.peer, header.address.begin());
  std::memcpy(place, &header, sizeof header);
  std::ranges::copy(exchange.query, place + sizeof header);
  std::ranges::copy(exchange.response, place + sizeof header + exchange.query.size());
  next_ += size;
}

unsigned TapRing::drain(const std::function<void(const TapExchange&)>& take) {
  const std::uint64_t head = head_.load(std::memory_order_acquire);
  std::uint64_t position = tail_.load(std::memory_order_relaxed);
  unsigned count = 0;
  while (position != head) {
    Header header{};
    std::memcpy(&header, at(position), kFillerHead);
    if (!header.is_filler) {
      std::memcpy(&header, at(position), sizeof header);
      const std::uint8_t* content = at(position) + sizeof header;
      take({header.kind,
            header.protocol,
            BytesView(header.address).first(header.address_size),
            header.port,
            header.query_time,
            header.response_time,
            {content, header.query_size},
            {content + header.query_size, header.response_size}});
      ++count;
    }
    position += header.size;
    tail_.store(position, std::memory_order_release);
  }
  return count;
}

}  // namespace mutua::authority
