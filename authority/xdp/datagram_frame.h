#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"

namespace mutua::authority {

// Ethernet (14 octets), IPv6 (40; IPv4 without options: 20), UDP (8).
constexpr std::size_t kMostFrameHeaders = 62;

// A UDP datagram in an Ethernet frame; views of it.
struct DatagramFrame {
  BytesView message;
  BytesView source, destination;  // 4 or 16 octets
  std::uint16_t source_port;
  std::uint16_t destination_port;
  std::size_t header_size;  // where the message begins
};

// Nothing where the frame holds no whole datagram, has IPv4 options, fragments or extension
// headers, or a source that nobody can be answered at. Checksums are not looked at: what a network
// card or a virtual Ethernet hands over has been verified by it, or was never on a wire.
std::optional<DatagramFrame> read_datagram(BytesView frame);

// Writes at the front of `out` the headers of the frame that answers `request`, along the way that
// it came, with checksums over the response, which stands at request.header_size already. `frame`
// is what `request` was read from. Returns the size of the whole frame. `out` is large enough for
// it.
std::size_t put_reply_headers(BytesView frame, const DatagramFrame& request,
                              std::span<std::uint8_t> out, std::size_t response_size);

}  // namespace mutua::authority
