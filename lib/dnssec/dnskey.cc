#include "dnssec/dnskey.h"

#include "trust/digest.h"
#include "wire/rdata.h"

namespace mutua::dnssec {
namespace {

Bytes digest(BytesView octets, DigestType type) {
  if (type == DigestType::sha256) return to_bytes(trust::sha256(octets).octets());
  trust::Sha384 hash;
  hash.update(octets);
  return hash.finish();
}

}  // namespace

Result<Ds> parse_ds(BytesView rdata) {
  if (rdata.size() < 5) return Error("DS record: RDATA too short");
  return Ds{load_u16(rdata.data()), rdata[2], rdata[3], to_bytes(rdata.subspan(4))};
}

Bytes make_ds(const Ds& ds) {
  Bytes rdata;
  append_u16(rdata, ds.key_tag);
  append_u8(rdata, ds.algorithm);
  append_u8(rdata, ds.digest_type);
  append(rdata, ds.digest);
  return rdata;
}

Ds ds_of(const wire::Name& owner, BytesView dnskey_rdata, DigestType type) {
  Bytes covered = to_bytes(owner.lowered().wire());
  append(covered, dnskey_rdata);
  const std::uint8_t algorithm = dnskey_rdata.size() > 3 ? dnskey_rdata[3] : 0;
  return {wire::key_tag(dnskey_rdata), algorithm, static_cast<std::uint8_t>(type),
          digest(covered, type)};
}

}  // namespace mutua::dnssec
