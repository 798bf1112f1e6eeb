#include <gtest/gtest.h>

#include "trust/key.h"
#include "trust/mac.h"
#include "trust/peer_id.h"
#include "wire/rdata.h"
#include "wire/sig0.h"
#include "wire/tsig.h"

namespace mutua::wire {
namespace {

Name name(std::string_view text) { return Name::parse(text).value(); }

Message update() {
  Message message;
  message.header.id = 7;
  message.header.opcode = Opcode::update;
  message.question.push_back({name("fed.example."), RRType::soa, RRClass::in});
  message.authority.push_back({name("a.fed.example."), RRType::a, RRClass::in, 60, {192, 0, 2, 1}});
  message.edns = Edns{};
  return message;
}

class Sig0Framing : public testing::TestWithParam<trust::Algorithm> {};

TEST_P(Sig0Framing, ASignedMessageVerifiesAndAnAlteredOneDoesNot) {
  const auto key = trust::PrivateKey::generate(GetParam()).value();
  Sig0 fields;
  fields.algorithm = static_cast<std::uint8_t>(GetParam());
  fields.inception = 1000;
  fields.expiration = 1600;
  fields.key_tag = key_tag(trust::key_rdata(key.public_key()));
  fields.signer = name("Peer.fed.example.");
  Bytes wire =
      sign_sig0(update().to_wire(), fields, [&](BytesView bytes) { return key.sign(bytes); });

  const Message message = parse(wire).value();
  ASSERT_TRUE(message.signature_offset);
  EXPECT_EQ(message.signature_type, RRType::sig);
  const Sig0 read = read_sig0(wire, message).value();
  EXPECT_EQ(read.signer, fields.signer);
  EXPECT_EQ(read.inception, 1000U);
  EXPECT_TRUE(key.public_key().verify(sig0_signed_bytes_of(wire, message, read), read.signature));

  wire[30] ^= 1;
  const auto altered = parse(wire);
  if (altered.ok()) {
    const Sig0 again = read_sig0(wire, *altered).value();
    EXPECT_FALSE(
        key.public_key().verify(sig0_signed_bytes_of(wire, *altered, again), again.signature));
  }
}

INSTANTIATE_TEST_SUITE_P(Algorithms, Sig0Framing,
                         testing::Values(trust::Algorithm::ed25519,
                                         trust::Algorithm::ecdsa_p256_sha256));

TEST(TsigFraming, TheMacCoversTheMessageWithItsOriginalId) {
  const Bytes secret = to_bytes("0123456789abcdef");
  const auto mac_of = [&](BytesView bytes) {
    return trust::hmac("hmac-sha256", secret, bytes).value();
  };
  Tsig fields;
  fields.key_name = name("operator.");
  fields.algorithm = name("hmac-sha256.");
  fields.time_signed = 1234567890123;
  fields.original_id = 7;
  Bytes wire = sign_tsig(update().to_wire(), fields, {}, mac_of);
  store_u16(wire.data(), 99);  // a forwarder may change the id (RFC 8945 section 5.1)

  const Message message = parse(wire).value();
  const Tsig read = read_tsig(wire, message).value();
  EXPECT_EQ(read.time_signed, 1234567890123U);
  EXPECT_EQ(read.mac, mac_of(tsig_signed_bytes_of(wire, message, read, {})));
  EXPECT_NE(read.mac, mac_of(tsig_signed_bytes_of(wire, message, read, to_bytes("request"))));
}

TEST(TransactionSignature, OneThatIsNotLastIsMalformed) {
  Tsig fields;
  fields.key_name = name("k.");
  fields.algorithm = name("hmac-sha256.");
  const Bytes once = sign_tsig(update().to_wire(), fields, {}, nullptr);
  EXPECT_TRUE(parse(once).ok());
  EXPECT_FALSE(parse(sign_tsig(once, fields, {}, nullptr)).ok());
}

TEST(TransactionSignature, TruncatedFramesAreRefused) {
  Tsig fields;
  fields.key_name = name("k.");
  fields.algorithm = name("hmac-sha256.");
  fields.mac = Bytes(32, 1);
  const Bytes whole =
      sign_tsig(update().to_wire(), fields, {}, [](BytesView) { return Bytes(32, 1); });
  const std::size_t offset = *parse(whole).value().signature_offset;
  const std::size_t rdata_at = offset + name("k.").wire().size() + 10;
  for (std::size_t keep = 0; rdata_at + keep < whole.size(); ++keep) {
    Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(rdata_at + keep));
    store_u16(cut.data() + rdata_at - 2, static_cast<std::uint16_t>(keep));
    const auto message = parse(cut);
    ASSERT_TRUE(message.ok());
    EXPECT_FALSE(read_tsig(cut, *message).ok()) << keep;
  }
}

}  // namespace
}  // namespace mutua::wire
