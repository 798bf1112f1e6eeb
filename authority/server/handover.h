#pragma once

#include <functional>
#include <memory>

#include "authority/query/answer.h"
#include "authority/transfer/message_stream.h"
#include "base/bytes.h"
#include "base/socket_address.h"

namespace mutua::authority {

// A message that the query path does not answer itself: an UPDATE, or a question to forward.
struct Handover {
  Bytes message;
  SocketAddress source;
  Transport transport = Transport::udp;
  // To be called once, from any thread, with the response; empty octets mean that none is sent.
  // Never blocks. May be called after the server has ended.
  std::function<void(Bytes response)> reply;
};

// Takes a message over. Called on the server's threads, so it must not block. False where it is
// full: the message is dropped (UDP) or the connection closed (TCP), so that the client comes
// again.
using Taker = std::function<bool(Handover)>;

// Whether an UPDATE that came by UDP is worth taking over; false: it is dropped. What a flood
// brings ends here, before it costs an allocation. Called on the server's threads, so it must not
// block.
using DatagramGate = std::function<bool(BytesView message)>;

// The response to a question that ends with a TSIG, signed or with what is wrong with it. Called on
// the server's threads, so it must not block.
using ResponseSigner = std::function<Bytes(BytesView message, BytesView response)>;

// Begins the answer to an AXFR or IXFR that came by TCP. Called on the server's threads, so it must
// not block; so must not the stream.
using TransferTaker = std::function<std::unique_ptr<MessageStream>(
    BytesView message, const SocketAddress& source, Transport transport)>;

}  // namespace mutua::authority
