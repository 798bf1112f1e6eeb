#include "authority/tap/tap_ring.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>
#include <vector>

namespace mutua::authority {
namespace {

constexpr std::size_t kSize = 4096;

// An exchange whose every part follows from its number.
struct Made {
  explicit Made(std::uint32_t number)
      : query(number % 50 + 1, static_cast<std::uint8_t>(number)),
        response(number * 7 % 300, static_cast<std::uint8_t>(number + 1)),
        peer(number % 2 == 0 ? 4 : 16, static_cast<std::uint8_t>(number + 2)),
        number_(number) {}

  TapExchange exchange() const {
    return {TapExchange::Kind::question,
            TapExchange::Protocol::tcp,
            peer,
            static_cast<std::uint16_t>(number_),
            number_,
            number_ + 1,
            query,
            response};
  }
  bool is(const TapExchange& other) const {
    return std::ranges::equal(query, other.query) && std::ranges::equal(response, other.response) &&
           std::ranges::equal(peer, other.peer) && other.query_time == number_ &&
           other.response_time == number_ + 1 && other.protocol == TapExchange::Protocol::tcp &&
           other.port == static_cast<std::uint16_t>(number_);
  }

  Bytes query, response, peer;
  std::int64_t number_;
};

TEST(TapRing, WhatIsPublishedComesOutAsItWentIn) {
  TapRing ring(kSize);
  std::uint32_t out = 0;
  const auto take = [&](const TapExchange& exchange) { EXPECT_TRUE(Made(out++).is(exchange)); };
  for (std::uint32_t in = 0; in < 1000; ++in) {
    ring.record(Made(in).exchange());
    if (in % 3 == 0) {
      ring.drain(take);
      EXPECT_EQ(out, in);  // all but the last
    }
    ring.publish();
  }
  ring.drain(take);
  EXPECT_EQ(out, 1000u);
  EXPECT_EQ(ring.dropped().value(), 0u);
}

TEST(TapRing, WhatDoesNotFitIsDroppedAndCounted) {
  TapRing ring(kSize);
  for (std::uint32_t in = 0; in < 1000; ++in) ring.record(Made(in).exchange());
  const Bytes large(kSize);
  ring.record({TapExchange::Kind::update, {}, {}, 0, 0, 0, large, {}});
  ring.publish();
  std::uint64_t kept = 0;
  ring.drain([&](const TapExchange&) { ++kept; });
  EXPECT_GT(kept, 10u);
  EXPECT_EQ(kept + ring.dropped().value(), 1001u);
  ring.record(Made(5).exchange());
  ring.publish();
  EXPECT_EQ(ring.drain([](const TapExchange& one) { EXPECT_TRUE(Made(5).is(one)); }), 1u);
}

// For ThreadSanitizer, too.
TEST(TapRing, AReaderBesideTheWriterSeesWholeExchangesInTheirOrder) {
  TapRing ring(kSize);
  constexpr std::uint32_t kExchanges = 50'000;
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (std::uint32_t in = 0; in < kExchanges; ++in) {
      ring.record(Made(in).exchange());
      if (in % 8 == 7) ring.publish();
    }
    ring.publish();
    done.store(true);
  });
  std::int64_t last = -1;
  std::uint64_t seen = 0;
  const auto take = [&](const TapExchange& exchange) {
    ASSERT_GT(exchange.query_time, last);
    last = exchange.query_time;
    ASSERT_TRUE(Made(static_cast<std::uint32_t>(last)).is(exchange));
    ++seen;
  };
  while (!done.load()) ring.drain(take);
  ring.drain(take);
  writer.join();
  EXPECT_EQ(seen + ring.dropped().value(), kExchanges);
}

}  // namespace
}  // namespace mutua::authority
