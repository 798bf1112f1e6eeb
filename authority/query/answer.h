#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "authority/query/request.h"
#include "authority/query/response_writer.h"
#include "authority/zone/zone_version.h"
#include "base/bytes.h"

namespace mutua::authority {

enum class Transport { udp, tcp, tls };
// offered: RA is set; the asker forwards what is not ours.
enum class Recursion { refused, offered };

// The response buffers that answer() never outgrows.
constexpr std::size_t kUdpResponseSize = 1232;
constexpr std::size_t kTcpResponseSize = 65535;

struct Answered {
  enum class Kind {
    silent,    // send nothing
    response,  // send `size` octets
    not_ours,  // the same, a REFUSED; or ask upstream instead, where RD is set and recursion offered
    transfer,  // the same, a REFUSED, to AXFR or IXFR by TCP; or the zone, where the asker may have it
    to_sign,  // the same, to a message that ends with a TSIG: the response must have one, too
    update,   // UPDATE or NOTIFY: hand it to the write side; nothing was written
  };
  Kind kind;
  std::size_t size;
};

// Answers one message from one version of the zone. Pure: no lock, no allocation, nothing kept.
//
//  - RFC 1034 section 4.3.2 with wildcards (RFC 4592), CNAME chains of up to 16 within the zone,
//    DNAME (RFC 6672), referrals with glue, DS at the parent; the question byte for byte.
//  - Negative answers carry the SOA with the TTL of RFC 2308.
//  - The addresses of SRV, MX and NS targets go into the additional section as far as they fit.
//  - ANY gets one RRset (RFC 8482). AXFR by UDP, other classes and names outside the zone: REFUSED.
//  - IXFR by UDP gets the newest SOA (RFC 1995 section 2).
//  - Responses by UDP have at most 1232 octets, and no more than the client takes; what does not
//    fit is left out with TC set.
//  - A zone that has expired (a secondary's): SERVFAIL.
//  - A name outside the zone is looked for at <name>.lookaside.<apex> first, where that exists.
//
// In steps, so that many messages wait for memory together: begin() reads the message, advance()
// goes on with the look-up, finish() writes the response, whether or not advance() had come to the
// end. The version and the message outlive the object; they are the same throughout.
class Answering {
 public:
  // `list`: the catalog zone (RFC 9432) beside, if there is one: its SOA is answered, and nothing
  // else of it, since only secondaries are to have it.
  void begin(BytesView message, const ZoneVersion& version, const ZoneVersion* list = nullptr);
  // False, and nothing done, where there is nothing more to wait for.
  bool advance();
  // `out` has kUdpResponseSize or kTcpResponseSize octets and does not overlap the message.
  // `cookie` goes into the response's OPT where it is not null.
  Answered finish(Transport transport, Recursion recursion, std::span<std::uint8_t> out,
                  const FullCookie* cookie = nullptr) const;
  // What a question gets instead that comes too often over UDP: nothing but TC, or BADCOOKIE.
  enum class Short { truncated, bad_cookie };
  Answered finish_short(Short why, std::span<std::uint8_t> out, const FullCookie* cookie) const;

  // The data of the question's COOKIE option; empty where there is none.
  BytesView cookie() const { return request_.cookie; }

 private:
  enum class Stage { look_up, node, block, signatures, done };

  const ZoneNode* node() const;  // what the version has at the name
  bool put_newest_soa(ResponseWriter& writer) const;

  Request request_;
  const ZoneVersion* version_ = nullptr;
  bool is_in_zone_ = false;
  std::uint64_t hash_ = 0;  // of the name, if it is in the zone
  NameTrie<ZoneNode>::Cursor cursor_;
  Stage stage_ = Stage::done;
};

// Takes all of them as far as advance() goes, a step of each in turn.
void advance_together(std::span<Answering> answerings);

// One message in one step.
Answered answer(BytesView message, Transport transport, Recursion recursion,
                const ZoneVersion& version, std::span<std::uint8_t> out);

// The RD bit of a message that answer() called not ours.
inline bool asks_for_recursion(BytesView message) { return (message[2] & 0x01) != 0; }

}  // namespace mutua::authority
