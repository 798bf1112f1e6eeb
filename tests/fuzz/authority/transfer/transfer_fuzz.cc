// Any octets as a request for the zone: what goes out is a series of well-formed messages that
// ends.
//
// The first octet's lowest bit says whether a good TSIG is appended to the rest.
#include "authority/transfer/transfer_service.h"
#include "authority/zone/master_file.h"
#include "base/log.h"
#include "trust/mac.h"
#include "wire/message.h"
#include "wire/tsig.h"

namespace {

using namespace mutua;
using namespace mutua::authority;

struct Setup {
  Setup() {
    log::set_level(log::Level::error);
    const auto apex = wire::Name::parse("f").value();
    const auto make = [&](const std::string& serial) {
      const std::string text =
          "$TTL 300\n@ SOA ns h " + serial + " 1 1 1 60\n@ NS ns\nns A 127.0.0.1\n";
      return ZoneVersion::create(apex, parse_master_file(text, "fuzz", apex).value()).value();
    };
    const auto first = make("1"), second = make("2");
    history.add({1,
                 2,
                 {{apex, wire::RRType::soa, *first->find(apex, wire::RRType::soa),
                   *second->find(apex, wire::RRType::soa)}}});
    catalog = std::make_unique<Catalog>(second);
    config.keys.push_back(key);
    config.rules.push_back({AddressPrefix::parse("0.0.0.0/0").value(), key.name});
  }

  wire::TsigKey key{wire::Name::parse("k").value(), "hmac-sha256", Bytes(32, 1)};
  TransferConfig config;
  ChangeHistory history;
  std::unique_ptr<Catalog> catalog;
};

Bytes sign(Bytes message, const wire::TsigKey& key) {
  wire::Tsig fields;
  fields.key_name = key.name;
  fields.algorithm = wire::Name::parse(key.algorithm).value();
  fields.time_signed =
      static_cast<std::uint64_t>(system_clock().wall_now().time_since_epoch().count());
  fields.original_id = load_u16(message.data());
  return wire::sign_tsig(std::move(message), fields, {}, [&](BytesView covered) {
    return trust::hmac(key.algorithm, key.secret, covered).value();
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Setup setup;
  if (size < 1 + wire::kHeaderSize || size > 16 * 1024) return 0;
  Bytes message = to_bytes(BytesView(data + 1, size - 1));
  if ((data[0] & 1) != 0) message = sign(std::move(message), setup.key);
  const TransferService service(setup.config, *setup.catalog, setup.history, system_clock());
  const auto stream = service.begin(message, SocketAddress::parse("127.0.0.1:1").value(), false);
  for (unsigned count = 0;; ++count) {
    BASE_ASSERT(count < 10);
    const auto next = stream->next();
    BASE_ASSERT(next.ok());
    if (next->empty()) break;
    BASE_ASSERT(wire::parse(*next).ok());
  }
  return 0;
}
