// An UPDATE on its whole way: parse, authenticate, permit, apply, derive, commit, answer.
//
// The first octet says who sends the rest: nobody (0, raw octets), the operator (1, signed by TSIG
// here), or a peer (2, as `<peer>.peers`) or owner (3, as blog) whose SIG(0) is made here. In the
// message 32 times 'K' stands for the peer's public key and 32 times 'p' for its id, so that a
// corpus can be written without knowing the key.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

#include "authority/store/memory_store.h"
#include "authority/writer/writer.h"
#include "base/assert.h"
#include "base/log.h"
#include "support/writer_fixture.h"

namespace {

using namespace mutua;

constexpr unsigned kRequestsPerZone = 256;

struct Authority {
  Authority() {
    BASE_ASSERT(authority::import_zone(store, test::small_zone()).ok());
    restart();
  }
  void restart() {
    writer.reset();
    authority::WriterConfig config;
    config.tsig_keys.push_back({test::name("operator"), "hmac-sha256", test::kSecret});
    writer = authority::Writer::create(store, std::move(config), clock).value();
  }

  FakeClock clock;
  authority::MemoryStore store;
  std::unique_ptr<authority::Writer> writer;
};

void substitute(Bytes& message, char placeholder, BytesView value) {
  const Bytes pattern(value.size(), static_cast<std::uint8_t>(placeholder));
  auto at = message.begin();
  while ((at = std::search(at, message.end(), pattern.begin(), pattern.end())) != message.end()) {
    at = std::copy(value.begin(), value.end(), at);
  }
}

Bytes sign(Bytes message, std::uint8_t sender, const test::Party& party, WallTime now) {
  if (sender == 0 || message.size() < wire::kHeaderSize) return message;
  substitute(message, 'K', party.key.public_key().raw());
  substitute(message, 'p', as_bytes(party.id));
  if (sender == 1) return test::sign_tsig(std::move(message), "operator", test::kSecret, now);
  return test::sign_sig0(std::move(message), party.key, sender == 2 ? party.host : "blog.fed.test.",
                         now);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const test::Party party;
  static std::unique_ptr<Authority> running;
  static unsigned requests = 0;
  if (size == 0 || size > wire::kLargestMessage / 2) return 0;
  if (!running || requests++ % kRequestsPerZone == 0) {
    log::set_level(log::Level::error);
    running = std::make_unique<Authority>();
  }
  const auto sender = static_cast<std::uint8_t>(data[0] % 4);
  Bytes message =
      sign(to_bytes(BytesView(data + 1, size - 1)), sender, party, running->clock.wall_now());
  const bool may_be_answered = message.size() >= wire::kHeaderSize && (message[2] & 0x80) == 0;
  bool replied = false;
  const auto reply = [&](Bytes answer) {
    replied = true;
    BASE_ASSERT(answer.empty() != may_be_answered);
    BASE_ASSERT(answer.empty() || wire::parse(answer).ok());
  };
  BASE_ASSERT(running->writer->submit(
      {std::move(message), SocketAddress::parse("127.0.0.1:1").value(), true, reply}));
  running->writer->process_now();
  BASE_ASSERT(replied);
  // What is published is what is stored, and stands up to the checks of a start.
  const std::uint32_t serial = running->writer->catalog().current()->serial();
  BASE_ASSERT(running->store.serial().value() == serial);
  running->clock.advance(std::chrono::seconds(data[0] >> 2));
  if (requests % 32 == 0) running->restart();
  return 0;
}
