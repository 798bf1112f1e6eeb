#include "resolver/mirror/mirror_file.h"

#include <algorithm>
#include <string_view>

#include "base/durable_file.h"
#include "trust/digest.h"

namespace mutua::resolver {
namespace {

using wire::Record;
using wire::RRset;
using wire::RRType;

constexpr std::string_view kMagic = "mutua mirror 1\n";
constexpr std::size_t kEnough = 16 * 1024;  // octets of records in a message

// Packs records into messages behind their lengths.
class Packer {
 public:
  Packer(Bytes& out, const wire::Name& apex) : out_(out) {
    message_.header.response = true;
    message_.question.push_back({apex, RRType::axfr, wire::RRClass::in});
  }
  void add(const wire::Name& owner, const RRset& rrset) {
    for (const Bytes& rdata : rrset.rdatas) {
      const std::size_t size = owner.wire().size() + 10 + rdata.size();
      if (size_ != 0 && size_ + size > kEnough) flush();
      message_.answer.push_back(
          {owner, rrset.type, wire::RRClass::in, wire::ttl_of(rrset, rdata), rdata});
      size_ += size;
    }
  }
  void flush() {
    const Bytes octets = message_.to_wire();
    append_u16(out_, static_cast<std::uint16_t>(octets.size()));
    append(out_, octets);
    message_.answer.clear();
    size_ = 0;
  }

 private:
  Bytes& out_;
  wire::Message message_;
  std::size_t size_ = 0;
};

}  // namespace

Result<void> save_mirror(const std::filesystem::path& path, const MirrorZone& zone) {
  Bytes content = to_bytes(kMagic);
  Packer packer(content, zone.apex());
  packer.add(zone.apex(), zone.soa());
  for (const auto& node : zone.nodes())
    for (const RRset& rrset : node->rrsets)
      if (rrset.type != RRType::soa) packer.add(node->owner, rrset);
  packer.add(zone.apex(), zone.soa());
  packer.flush();
  append(content, trust::sha256(content).octets());
  return write_file_durably(path, content);
}

Result<MirrorZone::Shared> load_mirror(const std::filesystem::path& path, const wire::Name& apex) {
  const Bytes content = TRY(read_file(path, kLargestMirrorFile));
  auto read = read_mirror(content, apex);
  if (!read) return read.error().in(path.string());
  return read;
}

Result<MirrorZone::Shared> read_mirror(BytesView content, const wire::Name& apex) {
  constexpr std::size_t kDigest = trust::Digest::kSize;
  if (content.size() < kMagic.size() + kDigest || !as_text(content).starts_with(kMagic))
    return Error("not a mirror of this version");
  const BytesView covered = content.first(content.size() - kDigest);
  if (!std::ranges::equal(trust::sha256(covered).octets(), content.last(kDigest)))
    return Error("damaged");
  zone_transfer::IncomingTransfer transfer(apex, 0, std::nullopt);
  bool is_whole = false;
  for (BytesView rest = covered.subspan(kMagic.size()); !rest.empty();) {
    if (rest.size() < 2 || rest.size() - 2 < load_u16(rest.data())) return Error("cut short");
    const BytesView octets = rest.subspan(2, load_u16(rest.data()));
    rest = rest.subspan(2 + octets.size());
    const wire::Message message = TRY(wire::parse(octets));
    is_whole = TRY(transfer.take(message, octets.size()));
  }
  if (!is_whole) return Error("cut short");
  auto received = transfer.finish();
  auto* whole = std::get_if<zone_transfer::WholeZone>(&received);
  if (!whole) return Error("no whole zone");
  return MirrorZone::create(apex, std::move(whole->records));
}

}  // namespace mutua::resolver
