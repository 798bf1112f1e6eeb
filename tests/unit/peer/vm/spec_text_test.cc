#include "peer/vm/spec_text.h"

#include <gtest/gtest.h>

#include <functional>

namespace mutua::vm::uml {
namespace {

MachineSpec sample() {
  MachineSpec spec;
  spec.name = "shop-1";
  spec.kernel = "/var/cache/mutua/linux";
  spec.base_disk = "/var/cache/mutua/base.img";
  spec.scratch_disk = "/var/lib/mutua/a b/shop.cow";
  spec.memory_bytes = 96 << 20;
  spec.address = "10.0.0.7";
  spec.ports = {{Protocol::tcp, "127.0.0.1", 20000, 20999, 80},
                {Protocol::udp, "0.0.0.0", 0, 0, 53}};
  spec.outbound = Outbound::yes;
  spec.limits = {50, 200};
  spec.console_log = "/var/log/mutua/shop.log";
  spec.run_dir = "/run/mutua";
  return spec;
}

TEST(SpecText, SurvivesPrintingAndParsing) {
  const auto parsed = spec_from_text(to_text(sample()));
  ASSERT_TRUE(parsed.ok()) << parsed.error().message();
  EXPECT_EQ(*parsed, sample());
  MachineSpec resumed = sample();
  resumed.memory_snapshot = "/var/lib/mutua/a b/shop.memory";
  resumed.instance = "0123456789abcdef0123456789abcdef";
  const auto again = spec_from_text(to_text(resumed));
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ(*again, resumed);
}

TEST(SpecText, SnapshotRequestsSurvivePrintingAndParsing) {
  SnapshotRequest request;
  request.memory_file = "/var/lib/mutua/a b/shop.memory";
  request.disk_copy = "/var/lib/mutua/shop.cow";
  request.after = SnapshotRequest::After::leave;
  request.deadline = std::chrono::milliseconds(1234);
  const auto parsed = snapshot_request_from_text(to_text(request));
  ASSERT_TRUE(parsed.ok()) << parsed.error().message();
  EXPECT_EQ(*parsed, request);
  request.disk_copy = request.memory_file;
  EXPECT_FALSE(snapshot_request_from_text(to_text(request)).ok());
  request.disk_copy = "elsewhere";
  EXPECT_FALSE(snapshot_request_from_text(to_text(request)).ok());
}

TEST(SpecText, SnapshotReportsAreReadStrictly) {
  const auto report = snapshot_report_from_text(
      "pages=12 bytes=49152 runs=3 frozen_us=4854 write_us=99 generation=2");
  ASSERT_TRUE(report.ok()) << report.error().message();
  EXPECT_EQ(*report, (SnapshotReport{12, 49152, std::chrono::microseconds(4854), 2}));
  for (const char* bad :
       {"", "pages=12", "pages=12 bytes=1 frozen_us=1 generation=",
        "pages=-1 bytes=1 frozen_us=1 generation=0", "pages=1 bytes=1x frozen_us=1 generation=0",
        "pages=1 bytes=1 frozen_us=9999999999999999 generation=0"}) {
    EXPECT_FALSE(snapshot_report_from_text(bad).ok()) << bad;
  }
}

TEST(SpecText, UnknownRepeatedAndMissingKeysAreErrors) {
  const std::string text = to_text(sample());
  EXPECT_FALSE(spec_from_text(text + "color = blue\n").ok());
  EXPECT_FALSE(spec_from_text(text + "kernel = /other\n").ok());
  EXPECT_FALSE(spec_from_text(text.substr(text.find('\n') + 1)).ok());
  EXPECT_FALSE(spec_from_text(text + "port = tcp 127.0.0.1 0 80\n").ok());
  EXPECT_FALSE(spec_from_text(text + "port = sctp 127.0.0.1 0-0 80\n").ok());
  EXPECT_FALSE(spec_from_text(text + "port = tcp 127.0.0.1 0-0 80 90\n").ok());
  EXPECT_FALSE(spec_from_text(text + "port = tcp 127.0.0.1 0-0 70000\n").ok());
}

TEST(SpecText, BoundPortsSurvivePrintingAndParsing) {
  const BoundPort port{Protocol::udp, "192.0.2.1", 4711, 53};
  EXPECT_EQ(to_text(port), "udp 192.0.2.1 4711 53");
  EXPECT_EQ(*bound_port_from_text(to_text(port)), port);
  EXPECT_FALSE(bound_port_from_text("udp 192.0.2.1 4711").ok());
}

TEST(MachineSpec, OffendingFieldsAreNamed) {
  const struct {
    const char* field;
    std::function<void(MachineSpec&)> damage;
  } cases[] = {
      {"name", [](MachineSpec& s) { s.name = ""; }},
      {"name", [](MachineSpec& s) { s.name = "a b"; }},
      {"name", [](MachineSpec& s) { s.name = "x init=/bin/sh"; }},
      {"kernel", [](MachineSpec& s) { s.kernel = "linux"; }},
      {"base_disk", [](MachineSpec& s) { s.base_disk = ""; }},
      {"scratch_disk", [](MachineSpec& s) { s.scratch_disk = "/a\nname = evil"; }},
      {"memory_bytes", [](MachineSpec& s) { s.memory_bytes = 1 << 20; }},
      {"memory_bytes", [](MachineSpec& s) { s.memory_bytes += 1; }},
      {"address", [](MachineSpec& s) { s.address = "192.168.0.1"; }},
      {"address", [](MachineSpec& s) { s.address = "10.255.255.254"; }},
      {"address", [](MachineSpec& s) { s.address = "10.0.0.1 evil"; }},
      {"instance", [](MachineSpec& s) { s.instance = "0123"; }},
      {"instance", [](MachineSpec& s) { s.instance = std::string(32, 'F'); }},
      {"instance", [](MachineSpec& s) { s.instance = std::string(31, '0') + ' '; }},
      {"ports", [](MachineSpec& s) { s.ports[0].guest_port = 0; }},
      {"ports", [](MachineSpec& s) { s.ports[0].host_port_last = 1; }},
      {"ports", [](MachineSpec& s) { s.ports[0].host_address = "::1"; }},
      {"ports", [](MachineSpec& s) { s.ports.resize(65, s.ports[0]); }},
      {"cpu_percent", [](MachineSpec& s) { s.limits.cpu_percent = 0; }},
      {"processes", [](MachineSpec& s) { s.limits.processes = 1; }},
  };
  EXPECT_TRUE(validate(sample()).ok());
  for (const auto& one : cases) {
    MachineSpec spec = sample();
    one.damage(spec);
    const auto valid = validate(spec);
    ASSERT_FALSE(valid.ok()) << one.field;
    EXPECT_EQ(valid.error().message().rfind(one.field, 0), 0u) << valid.error().message();
  }
}

}  // namespace
}  // namespace mutua::vm::uml
