#include "resolver/config.h"

#include <gtest/gtest.h>

#include "base/durable_file.h"
#include "support/temporary_folder.h"

namespace mutua::resolver {
namespace {

Result<ResolverConfig> read(std::string_view text, std::string_view resolv_conf = "") {
  return read_resolver_config(Config::parse(text, "resolver.conf").value(), resolv_conf);
}

constexpr const char* kSmall = "zone = fed.example\nauthority = 192.0.2.53\n";

TEST(ResolverConfig, TheSmallestFileHasSafeDefaults) {
  const auto config = read(kSmall).value();
  EXPECT_EQ(config.zone.to_text(), "fed.example.");
  EXPECT_EQ(config.authorities[0].to_text(), "192.0.2.53:53");
  EXPECT_EQ(config.lookaside, Lookaside::no);
  EXPECT_TRUE(config.stub_listen.empty());
  EXPECT_EQ(config.socket_folder, "/run/mutua");
  EXPECT_TRUE(config.pool.contains(Ipv4{0x7fc80101}));
}

TEST(ResolverConfig, TheStubsUpstreamsComeFromResolvConfButNeverTheStubItself) {
  const std::string file = std::string(kSmall) + "stub_listen = 127.0.0.55\n";
  const auto config =
      read(file,
           "search x\n#nameserver 9.9.9.9\nnameserver 127.0.0.55\nnameserver 2001:db8::53\n"
           "nameserver\t192.0.2.1 # office\nnameservers 1.1.1.1\n")
          .value();
  ASSERT_EQ(config.upstreams.size(), 2u);
  EXPECT_EQ(config.upstreams[0].to_text(), "[2001:db8::53]:53");
  EXPECT_EQ(config.upstreams[1].to_text(), "192.0.2.1:53");
  EXPECT_FALSE(read(file, "nameserver 127.0.0.55\n").ok());
  EXPECT_EQ(
      read(file + "upstream = 192.0.2.9:5353\n", "nameserver 192.0.2.1\n")->upstreams[0].to_text(),
      "192.0.2.9:5353");
}

TEST(ResolverConfig, AnIpv6PoolIsASlash96OfUnicastAddresses) {
  const auto with = [](const std::string& pool6) {
    return read(std::string(kSmall) + "pool6 = " + pool6 + "\n");
  };
  EXPECT_FALSE(read(kSmall)->pool6);
  EXPECT_FALSE(with("none")->pool6);
  EXPECT_EQ(with("fd6d:7574:7561::/96")->pool6->with(Ipv4{0x7fc80102}, 80).to_text(),
            "[fd6d:7574:7561::7fc8:102]:80");
  for (const char* bad : {"fd00::", "fd00::/64", "fd00::1/96", "127.0.0.0/96", "::/96",
                          "::ffff:0:0/96", "ff02::/96", "x/96"}) {
    EXPECT_FALSE(with(bad).ok()) << bad;
  }
}

TEST(ResolverConfig, ATransferKeyIsANameAnAlgorithmAndAFile) {
  const test::TemporaryFolder folder;
  const std::string path = (folder.path() / "secret").string();
  const auto with = [](const std::string& key) {
    return read(std::string(kSmall) + "transfer_key = " + key + "\n");
  };
  EXPECT_FALSE(read(kSmall)->transfer_key);
  EXPECT_FALSE(with("mirrors hmac-sha256 " + path).ok()) << "no such file";
  ASSERT_TRUE(write_file_durably(path, as_bytes("c2VjcmV0\n")).ok());
  const auto config = with("mirrors hmac-sha256 " + path);
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->transfer_key->name.to_text(), "mirrors.");
  EXPECT_EQ(as_text(config->transfer_key->secret), "secret");
  for (const char* bad : {"mirrors hmac-sha256", "mirrors hmac-md5 ", "mirrors hmac-sha256 more "})
    EXPECT_FALSE(with(std::string(bad) + path).ok()) << bad;
  ASSERT_TRUE(write_file_durably(path, as_bytes("no base64 !\n")).ok());
  EXPECT_FALSE(with("mirrors hmac-sha256 " + path).ok());
}

TEST(ResolverConfig, TrustAnchorsAreRecordsOrFilesOfThem) {
  const auto with = [](const std::string& lines) { return read(std::string(kSmall) + lines); };
  const std::string ds = "fed.example. IN DS 1 15 2 " + std::string(64, 'a');
  EXPECT_TRUE(read(kSmall)->trust_anchors.empty());
  EXPECT_EQ(with("trust_anchor = " + ds + "\n")->trust_anchors.all().size(), 1u);
  EXPECT_FALSE(with("trust_anchor = fed.example. IN DS 1 15 2 aa\n").ok());
  EXPECT_FALSE(with("trust_anchor = /no/such/file\n").ok());
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "anchors";
  ASSERT_TRUE(write_file_durably(file, as_bytes("; two\n" + ds + "\n" + ds + "bb\n")).ok());
  EXPECT_FALSE(with("trust_anchor = " + file.string() + "\n").ok()) << "one is malformed";
  ASSERT_TRUE(write_file_durably(file, as_bytes("; none\n")).ok());
  EXPECT_FALSE(with("trust_anchor = " + file.string() + "\n").ok())
      << "an empty file must not turn the checks off";
}

TEST(ResolverConfig, AMirrorNeedsATrustAnchor) {
  const auto with = [](const std::string& lines) { return read(std::string(kSmall) + lines); };
  const std::string anchor =
      "trust_anchor = fed.example. IN DS 1 15 2 " + std::string(64, 'a') + "\n";
  EXPECT_FALSE(read(kSmall)->mirror);
  EXPECT_FALSE(with("mirror = yes\n").ok());
  const auto config = with("mirror = yes\nmirror_refresh = 2s\nstale = 5d\n" + anchor);
  ASSERT_TRUE(config.ok());
  EXPECT_TRUE(config->mirror);
  EXPECT_EQ(config->mirror_refresh, std::chrono::seconds(2));
  EXPECT_EQ(config->stale, std::chrono::hours(120));
  EXPECT_FALSE(with("mirror_refresh = 10ms\n").ok());
  EXPECT_FALSE(with("stale = 31d\n").ok());
}

TEST(ResolverConfig, LookasideIsNoListedOrYes) {
  const auto with = [](const std::string& lines) { return read(std::string(kSmall) + lines); };
  EXPECT_EQ(with("lookaside = no\n")->lookaside, Lookaside::no);
  EXPECT_EQ(with("lookaside = listed\n")->lookaside, Lookaside::listed);
  EXPECT_EQ(with("lookaside = yes\n")->lookaside, Lookaside::yes);
  EXPECT_FALSE(with("lookaside = some\n").ok());
}

TEST(ResolverConfig, TheKernelLeadsWhereItMayUnlessTheFileSaysOtherwise) {
  const auto with = [](const std::string& lines) { return read(std::string(kSmall) + lines); };
  EXPECT_EQ(with("")->redirect, RedirectMode::automatic);
  EXPECT_TRUE(with("")->cgroup.empty());
  EXPECT_EQ(with("redirect = kernel\ncgroup = /sys/fs/cgroup/x\n")->redirect, RedirectMode::kernel);
  EXPECT_EQ(with("redirect = kernel\ncgroup = /sys/fs/cgroup/x\n")->cgroup, "/sys/fs/cgroup/x");
  EXPECT_EQ(with("redirect = auto\n")->redirect, RedirectMode::automatic);
  EXPECT_EQ(with("redirect = relay\n")->redirect, RedirectMode::relay);
  EXPECT_FALSE(with("redirect = maybe\n").ok());
}

TEST(ResolverConfig, MistakesNameTheirLine) {
  const auto problem = [](const std::string& text) {
    const auto config = read(text);
    return config.ok() ? std::string("none") : config.error().message();
  };
  EXPECT_NE(problem(std::string(kSmall) + "pool = 127.0.0.0/30\n").find("resolver.conf:3: pool"),
            std::string::npos);
  EXPECT_NE(problem("zone = a..b\nauthority = 192.0.2.53\n").find("resolver.conf:1: zone"),
            std::string::npos);
  EXPECT_NE(problem("zone = a\nauthority = ns.example\n").find("resolver.conf:2: authority"),
            std::string::npos);
  EXPECT_NE(problem("zone = a\n").find("authority"), std::string::npos);
  EXPECT_NE(problem(std::string(kSmall) + "colour = blue\n").find("resolver.conf:3"),
            std::string::npos);
}

}  // namespace
}  // namespace mutua::resolver
