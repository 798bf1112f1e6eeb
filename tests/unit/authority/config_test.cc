#include "authority/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace mutua::authority {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

class AuthorityConfigTest : public testing::Test {
 protected:
  AuthorityConfigTest() {
    std::ofstream(secret_) << "c2VjcmV0IG9mIGEgdGVzdA==\n";
    std::ofstream(empty_) << "";
  }
  ~AuthorityConfigTest() override {
    std::filesystem::remove(secret_);
    std::filesystem::remove(empty_);
  }

  static Result<AuthorityConfig> read(const std::string& more) {
    const std::string text =
        "zone = fed.test\ndatabase = /x/zone.sqlite\nlisten = 127.0.0.1:5353\n";
    return read_authority_config(Config::parse(text + more, "a.conf").value());
  }
  static std::string error(const std::string& more) {
    const auto config = read(more);
    return config ? "no error" : config.error().message();
  }

  const std::filesystem::path secret_ = testing::TempDir() + "secret." + std::to_string(::getpid());
  const std::filesystem::path empty_ = testing::TempDir() + "empty." + std::to_string(::getpid());
};

TEST_F(AuthorityConfigTest, TheLeastHasSafeDefaults) {
  const auto config = read("").value();
  EXPECT_EQ(config.zone.to_text(), "fed.test.");
  EXPECT_EQ(config.unknown_names, UnknownNames::refuse);
  EXPECT_EQ(config.server.udp_workers, 1u);
  EXPECT_EQ(config.server.tcp.connections, 1000u);
  EXPECT_EQ(config.server.tcp.idle, std::chrono::seconds(10));
  EXPECT_TRUE(config.writer.federation.require_trusted_base);
  EXPECT_EQ(config.writer.federation.hosting_grace, 8u);
  EXPECT_TRUE(config.writer.tsig_keys.empty());
  EXPECT_TRUE(config.control_socket.empty());
}

TEST_F(AuthorityConfigTest, ADatabaseIsAPathOrAWayToReachPostgresql) {
  const auto read_database = [](const std::string& database) {
    return read_authority_config(
        Config::parse("zone = fed.test\nlisten = 127.0.0.1:5353\ndatabase = " + database + "\n",
                      "a.conf")
            .value());
  };
  EXPECT_TRUE(read_database("postgresql://mutua@db1,db2/mutua?connect_timeout=3").ok());
  EXPECT_TRUE(read_database("host=/run/postgresql dbname=mutua").ok());
  const auto wrong = read_database("postgresql://db1/mutua?no_such_word=1");
  ASSERT_FALSE(wrong.ok());
  EXPECT_THAT(wrong.error().message(), HasSubstr("a.conf:3: database"));
  EXPECT_THAT(wrong.error().message(), HasSubstr("no_such_word"));
}

TEST_F(AuthorityConfigTest, TransfersAreGivenByAddressAndKey) {
  const std::string keys = "transfer_key = k hmac-sha256 " + secret_.string() + "\n";
  const auto config = read(keys +
                           "transfer = 192.0.2.0/24 k\ntransfer = ::1\n"
                           "notify = 192.0.2.1:5353 K\nnotify = ::1\n");
  ASSERT_TRUE(config.ok()) << config.error().message();
  ASSERT_THAT(config->transfer.rules, SizeIs(2));
  EXPECT_TRUE(config->transfer.rules[0].key);
  EXPECT_FALSE(config->transfer.rules[1].key);
  ASSERT_THAT(config->transfer.notify, SizeIs(2));
  EXPECT_TRUE(config->transfer.notify[0].key);
  EXPECT_EQ(config->transfer.notify[1].address.to_text(), "[::1]:53");
  EXPECT_TRUE(config->writer.tsig_keys.empty());  // to read is not to write
  EXPECT_THAT(error("transfer = 192.0.2.0/24 k\n"),
              HasSubstr("a.conf:4: transfer: no transfer_key"));
  EXPECT_THAT(error("transfer = 192.0.2.1/24\n"), HasSubstr("a.conf:4: transfer: bits are set"));
  EXPECT_THAT(error("notify = nowhere\n"), HasSubstr("a.conf:4: notify: "));
  EXPECT_THAT(error(keys + "notify = ::1 k more\n"), HasSubstr("a.conf:5: notify: expected"));
}

TEST_F(AuthorityConfigTest, TlsNeedsACertificateAndTransfersMayNeedTls) {
  const auto config = read(
      "listen_tls = 127.0.0.1\ntls_certificate = /x/pem\ntls_key = /x/key\n"
      "transfer = 192.0.2.0/24 tls\ntransfer = ::1\n");
  ASSERT_TRUE(config.ok()) << config.error().message();
  ASSERT_THAT(config->server.listen_tls, SizeIs(1));
  EXPECT_EQ(config->server.listen_tls[0].to_text(), "127.0.0.1:853");
  EXPECT_TRUE(config->transfer.rules[0].needs_tls);
  EXPECT_FALSE(config->transfer.rules[1].needs_tls);
  EXPECT_THAT(error("listen_tls = 127.0.0.1\n"),
              HasSubstr("a.conf:4: listen_tls: needs tls_certificate"));
  EXPECT_THAT(error("tls_certificate = x\n"), HasSubstr("has no use without listen_tls"));
}

TEST_F(AuthorityConfigTest, ResponsesAreLimitedUnlessSaidOtherwise) {
  const RateLimits limits = read("").value().server.rate_limits;
  EXPECT_EQ(limits.per_second, 1000u);
  EXPECT_EQ(limits.slip, 2u);
  EXPECT_THAT(limits.exempt, SizeIs(2));
  const RateLimits other = read(
                               "response_rate_limit = 0\nresponse_rate_slip = 5\n"
                               "response_rate_exempt = 192.0.2.0/24\n")
                               .value()
                               .server.rate_limits;
  EXPECT_EQ(other.per_second, 0u);
  EXPECT_EQ(other.slip, 5u);
  EXPECT_THAT(other.exempt, SizeIs(1));
  EXPECT_THAT(error("response_rate_exempt = here\n"),
              HasSubstr("a.conf:4: response_rate_exempt: "));
  EXPECT_THAT(error("cookie_secret = /does/not/exist\n"), HasSubstr("a.conf:4: cookie_secret: "));
}

TEST_F(AuthorityConfigTest, TheZonesKeysAreNamedNotMade) {
  EXPECT_TRUE(read("").value().dnssec.keys.empty());
  const auto config =
      read(
          "dnssec_keys = /x/keys\ndnssec_algorithm = ecdsap256sha256\ndnssec_key_lifetime = 365d\n"
          "dnssec_parent_ds_ttl = 2d\ndnssec_propagation = 5m\ndnssec_parent = 192.0.2.1\n")
          .value()
          .dnssec;
  EXPECT_EQ(config.keys, "/x/keys");
  EXPECT_EQ(config.plan.algorithm, trust::Algorithm::ecdsa_p256_sha256);
  EXPECT_EQ(config.roll.lifetime, std::chrono::hours(365 * 24));
  EXPECT_EQ(config.roll.parent_ds_ttl, std::chrono::hours(48));
  EXPECT_EQ(config.roll.propagation, std::chrono::minutes(5));
  EXPECT_THAT(config.parents, SizeIs(1));
  EXPECT_EQ(config.plan.layout, KeyLayout::csk);
  const auto split =
      read("dnssec_keys = /x/keys\ndnssec_signing_keys = split\ndnssec_zsk_lifetime = 30d\n")
          .value()
          .dnssec;
  EXPECT_EQ(split.plan.layout, KeyLayout::split);
  EXPECT_EQ(split.roll.data_lifetime, std::chrono::hours(30 * 24));
  EXPECT_THAT(error("dnssec_keys = /x\ndnssec_zsk_lifetime = 30d\n"),
              HasSubstr("dnssec_zsk_lifetime: has no use without"));
  EXPECT_THAT(error("dnssec_signing_keys = both\n"),
              HasSubstr("a.conf:4: dnssec_signing_keys: must be csk or split"));
  EXPECT_THAT(error("dnssec_algorithm = rsa\n"), HasSubstr("a.conf:4: dnssec_algorithm: must be"));
  EXPECT_EQ(read("dnssec = remove\n").value().writer.without_keys, WithoutKeys::remove);
  EXPECT_EQ(read("dnssec = keep\n").value().writer.without_keys, WithoutKeys::keep);
  EXPECT_THAT(error("dnssec = sign\n"), HasSubstr("a.conf:4: dnssec: must be keep or remove"));
  EXPECT_THAT(error("dnssec_keys = /x\ndnssec = keep\n"), HasSubstr("dnssec: has no use beside"));
}

TEST_F(AuthorityConfigTest, ASecondaryNamesItsPrimariesAndTheirKeys) {
  const std::string key = "transfer_key = k hmac-sha256 " + secret_.string() + "\n";
  const auto config =
      read(key + "primary = 192.0.2.1 k\nprimary = [2001:db8::1]:5353 unsigned\n").value();
  ASSERT_THAT(config.follower.primaries, SizeIs(2));
  EXPECT_EQ(config.follower.primaries[0].key->name.to_text(), "k.");
  EXPECT_EQ(config.follower.primaries[0].address.port(), 53);
  EXPECT_FALSE(config.follower.primaries[1].key);
  EXPECT_THAT(error("primary = 192.0.2.1\n"),
              HasSubstr("a.conf:4: primary: expected: address, and"));
  EXPECT_THAT(error("primary = 192.0.2.1 k\n"), HasSubstr("no transfer_key has the name k"));
  EXPECT_THAT(error("primary = nowhere unsigned\n"), HasSubstr("a.conf:4: primary: "));
  for (const char* other :
       {"zone_file = x\n", "dnssec_keys = x\n", "dnssec = keep\n", "zonemd = 1h\n"})
    EXPECT_THAT(error(std::string(other) + "primary = 192.0.2.1 unsigned\n"),
                HasSubstr("has no use on a secondary"));
}

TEST_F(AuthorityConfigTest, EverythingCanBeSaid) {
  const auto config =
      read(
          "listen = [::1]:0\nworkers = 4\nzone_file = /x/zone\ncontrol_socket = /x/c.sock\n"
          "unknown_names = forward\nupstream = 192.0.2.1\nupstream = [2001:db8::1]:5353\n"
          "tsig_key = operator hmac-sha256 " +
          secret_.string() +
          "\n"
          "require_trusted_base = no\nhosting_grace = 2\ntcp_connections = 20\ntcp_idle = 5s\n")
          .value();
  EXPECT_THAT(config.server.listen, SizeIs(2));
  EXPECT_EQ(config.server.udp_workers, 4u);
  EXPECT_EQ(config.unknown_names, UnknownNames::forward);
  ASSERT_THAT(config.upstreams, SizeIs(2));
  EXPECT_EQ(config.upstreams[0].port(), 53);
  ASSERT_THAT(config.writer.tsig_keys, SizeIs(1));
  EXPECT_EQ(as_text(config.writer.tsig_keys[0].secret), "secret of a test");
  EXPECT_EQ(config.writer.tsig_keys[0].name.to_text(), "operator.");
  EXPECT_FALSE(config.writer.federation.require_trusted_base);
  EXPECT_EQ(config.server.tcp.idle, std::chrono::seconds(5));
}

TEST_F(AuthorityConfigTest, ErrorsNameTheLine) {
  const std::pair<std::string, const char*> cases[] = {
      {"listen = nowhere\n", "listen"},
      {"surprise = 1\n", "a.conf:4: unknown key 'surprise'"},
      {"workers = 0\n", "a.conf:4: workers"},
      {"unknown_names = maybe\n", "a.conf:4: unknown_names: must be refuse or forward, not maybe"},
      {"unknown_names = forward\n", "upstream: needed where unknown_names = forward"},
      {"upstream = 192.0.2.1\n", "a.conf:4: upstream: has no use"},
      {"tsig_key = operator hmac-md5 " + secret_.string() + "\n",
       "a.conf:4: tsig_key: unknown algorithm"},
      {"tsig_key = operator hmac-sha256\n", "a.conf:4: tsig_key: expected: name algorithm path"},
      {"tsig_key = operator hmac-sha256 " + empty_.string() + "\n", "not a base64 secret"},
      {"tsig_key = operator hmac-sha256 /nonexistent/secret\n", "a.conf:4: tsig_key: "},
      {"tcp_idle = 10ms\n", "a.conf:4: tcp_idle: must be at least 1s"},
      {"zone = again\n", "zone is given twice"},
  };
  for (const auto& [more, expected] : cases) EXPECT_THAT(error(more), HasSubstr(expected)) << more;
  EXPECT_FALSE(
      read_authority_config(Config::parse("zone = .\ndatabase = x\nlisten = ::1\n", "a").value()));
  EXPECT_FALSE(read_authority_config(Config::parse("zone = x\ndatabase = x\n", "a").value()));
}

}  // namespace
}  // namespace mutua::authority
