#include "resolver/redirect/replay_safety.h"

#include <gtest/gtest.h>

namespace mutua::resolver {
namespace {

ReplaySafety of(std::string_view text) { return replay_safety(as_bytes(text)); }

TEST(ReplaySafety, ReadingAndIdempotentRequestsMayBeRepeated) {
  EXPECT_EQ(of(""), ReplaySafety::safe);
  EXPECT_EQ(of("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), ReplaySafety::safe);
  EXPECT_EQ(of("GET / HTTP/1.1\r\nHos"), ReplaySafety::safe);
  EXPECT_EQ(of("HEAD / HTTP/1.1\r\n\r\n"), ReplaySafety::safe);
  EXPECT_EQ(of("OPTIONS * HTTP/1.1\r\n\r\n"), ReplaySafety::safe);
  EXPECT_EQ(of("PUT /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"), ReplaySafety::safe);
  EXPECT_EQ(of("DELETE /a HTTP/1.1\r\n\r\n"), ReplaySafety::safe);
}

TEST(ReplaySafety, ATlsHelloThatNobodyAnsweredMayBeRepeated) {
  EXPECT_EQ(of(std::string_view("\x16\x03\x01\x02\x00\x01", 6)), ReplaySafety::safe);
  EXPECT_EQ(of(std::string_view("\x17\x03\x03\x00\x10", 5)), ReplaySafety::unknown);
}

TEST(ReplaySafety, RequestsThatActMayNot) {
  EXPECT_EQ(of("POST / HTTP/1.1\r\n"), ReplaySafety::unsafe);
  EXPECT_EQ(of("PATCH /x HTTP/1.1\r\n"), ReplaySafety::unsafe);
  EXPECT_EQ(of("CONNECT a:443 HTTP/1.1\r\n"), ReplaySafety::unsafe);
}

TEST(ReplaySafety, WhatIsPipelinedBehindAReadIsUnknown) {
  EXPECT_EQ(of("GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\n\r\n"), ReplaySafety::unknown);
}

TEST(ReplaySafety, OtherProtocolsAreUnknown) {
  EXPECT_EQ(of("SSH-2.0-OpenSSH\r\n"), ReplaySafety::unknown);
  EXPECT_EQ(of("GETTING STARTED"), ReplaySafety::unknown);
  EXPECT_EQ(of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), ReplaySafety::unknown);
  EXPECT_EQ(of("get / HTTP/1.1\r\n\r\n"), ReplaySafety::unknown) << "methods are case-sensitive";
}

}  // namespace
}  // namespace mutua::resolver
