#include "authority/store/change_codec.h"

#include <gtest/gtest.h>

namespace mutua::authority {
namespace {

ChangeSet sample() {
  const auto name = wire::Name::parse("a.fed.test").value();
  const RRset before{wire::RRType::txt, 60, {{1, 'x'}, {}}};
  const RRset after{wire::RRType::txt, 61, {Bytes(300, 7)}};
  return {0xfffffffe,
          3,
          {{name, wire::RRType::txt, before, after},
           {name, wire::RRType::a, std::nullopt, RRset{wire::RRType::a, 1, {}}},
           {wire::Name(), wire::RRType::ns, RRset{wire::RRType::ns, 0, {{0}}}, std::nullopt}}};
}

Transaction sample_transaction() {
  const auto peer = wire::Name::parse("P.peers.fed.test").value();
  const auto key = trust::sha256(as_bytes("key")), print = trust::sha256(as_bytes("request"));
  const WallTime time{std::chrono::seconds(1'800'000'000)};
  Transaction transaction;
  transaction.changes = {sample(), sample()};
  transaction.leases = {{peer, peer, key, time, time}, {peer, peer, key, std::nullopt, time}};
  transaction.removed_leases = {peer, wire::Name()};
  transaction.replays = {{key, print, 1'700'000'000, time}};
  transaction.removed_replays = {{print, key, -5, time}};
  return transaction;
}

TEST(ChangeCodec, TransactionsKeepEverything) {
  const Bytes whole = encode_transaction(sample_transaction());
  const auto decoded = decode_transaction(whole);
  ASSERT_TRUE(decoded.ok()) << decoded.error().message();
  EXPECT_EQ(encode_transaction(*decoded), whole);
  EXPECT_EQ(decoded->changes.size(), 2u);
  EXPECT_EQ(decoded->leases, sample_transaction().leases);
  EXPECT_EQ(decoded->removed_leases, sample_transaction().removed_leases);
  EXPECT_EQ(decoded->replays, sample_transaction().replays);
  EXPECT_EQ(decoded->removed_replays, sample_transaction().removed_replays);
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(decode_transaction(BytesView(whole).first(size)).ok()) << size;
}

TEST(ChangeCodec, KeepsEverything) {
  const auto decoded = decode_change_set(encode_change_set(sample()));
  ASSERT_TRUE(decoded.ok()) << decoded.error().message();
  EXPECT_EQ(encode_change_set(*decoded), encode_change_set(sample()));
  EXPECT_EQ(decoded->from, 0xfffffffe);
  EXPECT_EQ(decoded->changes[0].before, sample().changes[0].before);
  EXPECT_EQ(decoded->changes[2].after, std::nullopt);
}

TEST(ChangeCodec, EveryTruncationIsAnError) {
  const Bytes whole = encode_change_set(sample());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(decode_change_set(BytesView(whole).first(size)).ok()) << size;
  }
}

TEST(ChangeCodec, TrailingOctetsAreAnError) {
  Bytes whole = encode_change_set(sample());
  whole.push_back(0);
  EXPECT_FALSE(decode_change_set(whole).ok());
  Bytes rdatas = encode_rdatas({{1, 2}, {3}});
  EXPECT_EQ(decode_rdatas(rdatas).value(), (std::vector<Bytes>{{1, 2}, {3}}));
  rdatas.push_back(0);
  EXPECT_FALSE(decode_rdatas(rdatas).ok());
}

TEST(ChangeCodec, CountsThatLieAreErrors) {
  EXPECT_FALSE(decode_rdatas(Bytes{0xff, 0xff}).ok());
  EXPECT_FALSE(decode_change_set(Bytes{0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff}).ok());
}

}  // namespace
}  // namespace mutua::authority
