// Any octets: parse never crashes, and what it accepts survives a round trip.
#include "base/assert.h"
#include "wire/message.h"
#include "wire/presentation.h"
#include "wire/sig0.h"
#include "wire/tsig.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mutua;
  using namespace mutua::wire;
  const BytesView bytes(data, size);
  const bool seems_signed = carries_sig0(bytes);
  const auto message = parse(bytes);
  if (!message.ok()) return 0;
  if (message->signature_offset) {
    if (message->signature_type == RRType::sig) {
      BASE_ASSERT(seems_signed);
      const auto sig0 = read_sig0(bytes, *message);
      if (sig0.ok()) (void)sig0_signed_bytes_of(bytes, *message, *sig0);
    } else {
      const auto tsig = read_tsig(bytes, *message);
      if (tsig.ok()) (void)tsig_signed_bytes_of(bytes, *message, *tsig, {});
    }
  }
  for (const Record& record : message->answer) (void)to_text(record);
  const Bytes wire = message->to_wire();
  const auto again = parse(wire);
  // A message of nearly 64 KiB may lose records when its names compress differently.
  if (size < 16384) {
    BASE_ASSERT(again.ok());
    BASE_ASSERT(again->question == message->question && again->answer == message->answer &&
                again->authority == message->authority && again->additional == message->additional);
  }
  return 0;
}
