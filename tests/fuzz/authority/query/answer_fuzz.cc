// Any octets as a request: whatever goes out must be a well-formed response within the limits.

#include <array>

#include "authority/query/answer.h"
#include "authority/zone/master_file.h"
#include "wire/message.h"

namespace {

using namespace mutua;
using namespace mutua::authority;

constexpr char kZone[] =
    "$TTL 300\n@ SOA ns h 1 1 1 1 60\n@ NS ns\nns A 127.0.0.1\na A 192.0.2.1\na AAAA ::1\n"
    "c CNAME d\nd CNAME a\nloop CNAME loop\n*.w A 192.0.2.2\n*.v CNAME a\ndeep.under.ent TXT x\n"
    "_80._tcp.s SRV 0 0 1 a\n_80._tcp.s SRV 0 0 2 ns\n_80._tcp.s PTR p._80._tcp.s\nm MX 1 a\n"
    "old DNAME new\nx.new A 192.0.2.3\n_1._tcp.x.lookaside SRV 0 0 1 a\n";
// Signed with a broken pen: the records are there and nobody verifies them.
constexpr char kSigned[] =
    "@ NSEC a NS SOA RRSIG NSEC\na NSEC *.w A AAAA RRSIG NSEC\n*.w NSEC ns A RRSIG NSEC\n"
    "ns NSEC f. A RRSIG NSEC\n@ RRSIG SOA 15 1 300 20300101000000 20200101000000 1 f. AAAA\n"
    "@ RRSIG NSEC 15 1 60 20300101000000 20200101000000 1 f. AAAA\n"
    "a RRSIG A 15 2 300 20300101000000 20200101000000 1 f. AAAA\n"
    "*.w RRSIG A 15 2 300 20300101000000 20200101000000 1 f. AAAA\n";
constexpr char kCut[] = "sub NS ns.sub\nns.sub A 192.0.2.4\n";

std::shared_ptr<const ZoneVersion> zone(const std::string& text) {
  const auto apex = wire::Name::parse("f").value();
  return ZoneVersion::create(apex, parse_master_file(text, "fuzz", apex).value()).value();
}

void check(BytesView message, Transport transport, const ZoneVersion& version) {
  static std::array<std::uint8_t, kTcpResponseSize> buffer;
  const std::size_t limit = transport == Transport::udp ? kUdpResponseSize : kTcpResponseSize;
  static constexpr FullCookie kCookie{1, 2, 3};
  Answering answering;
  answering.begin(message, version);
  advance_together({&answering, 1});
  const FullCookie* const cookie = answering.cookie().empty() ? nullptr : &kCookie;
  const Answered answered =
      answering.finish(transport, Recursion::refused, std::span(buffer).first(limit), cookie);
  if (answered.kind == Answered::Kind::silent || answered.kind == Answered::Kind::update) return;
  if (transport == Transport::udp) {
    static std::array<std::uint8_t, kUdpResponseSize> brief;
    for (const auto why : {Answering::Short::truncated, Answering::Short::bad_cookie}) {
      const Answered shortened = answering.finish_short(why, brief, cookie);
      BASE_ASSERT(shortened.size <= brief.size());
      if ((message[2] >> 3 & 15) == 0)
        BASE_ASSERT(wire::parse(BytesView(brief).first(shortened.size)).ok());
    }
  }
  BASE_ASSERT(answered.size >= wire::kHeaderSize && answered.size <= limit);
  const BytesView response = BytesView(buffer).first(answered.size);
  BASE_ASSERT(response[0] == message[0] && response[1] == message[1] && (response[2] & 0x80) != 0);
  if ((response[2] >> 3 & 15) == 0) BASE_ASSERT(wire::parse(response).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto uncut = zone(std::string(kZone, std::string(kZone).find("old DNAME")));
  static const auto cut = zone(std::string(kZone) + kCut);
  static const auto signed_one = zone(std::string(kZone) + kSigned);
  for (const auto& version : {uncut, cut, signed_one}) {
    check({data, size}, Transport::udp, *version);
    check({data, size}, Transport::tcp, *version);
    check({data, size}, Transport::tls, *version);
  }
  return 0;
}
