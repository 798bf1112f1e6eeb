#include "wire/presentation.h"

#include <ldns/ldns.h>

#include <cstdlib>
#include <memory>

#include "wire/rdata.h"

namespace mutua::wire {
namespace {

struct RrDelete {
  void operator()(ldns_rr* rr) const { ldns_rr_free(rr); }
};
struct RdfDelete {
  void operator()(ldns_rdf* rdf) const { ldns_rdf_deep_free(rdf); }
};
struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
using RrHandle = std::unique_ptr<ldns_rr, RrDelete>;
using RdfHandle = std::unique_ptr<ldns_rdf, RdfDelete>;

RdfHandle to_rdf(const Name& name) {
  return RdfHandle(
      ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, name.wire().size(), name.wire().data()));
}

std::string one_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ' || text.back() == '\t')) {
    text.pop_back();
  }
  for (char& c : text) {
    if (c == '\t') c = ' ';
  }
  return text;
}

// `\# length hex` of RFC 3597, for whatever ldns cannot print.
std::string generic_text(BytesView rdata) {
  std::string text = "\\# " + std::to_string(rdata.size());
  constexpr char digits[] = "0123456789abcdef";
  if (!rdata.empty()) text += ' ';
  for (const std::uint8_t byte : rdata) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

}  // namespace

Result<Record> record_from_text(std::string_view text, std::uint32_t default_ttl,
                                const Name& origin) {
  const RdfHandle origin_rdf = to_rdf(origin);
  ldns_rr* parsed = nullptr;
  const std::string line(text);
  const ldns_status status =
      ldns_rr_new_frm_str(&parsed, line.c_str(), default_ttl, origin_rdf.get(), nullptr);
  const RrHandle rr(parsed);
  if (status != LDNS_STATUS_OK) return errorf("record: %s", ldns_get_errorstr_by_id(status));
  std::uint8_t* octets = nullptr;
  std::size_t size = 0;
  if (ldns_rr2wire(&octets, rr.get(), LDNS_SECTION_ANSWER, &size) != LDNS_STATUS_OK) {
    return Error("record: cannot be written in wire format");
  }
  const std::unique_ptr<std::uint8_t, Free> owner_of_octets(octets);
  const BytesView wire(octets, size);
  std::size_t at = 0;
  Record record;
  record.owner = TRY(read_name(wire, at));
  if (at + 10 > size) return Error("record: cannot be written in wire format");
  record.type = static_cast<RRType>(load_u16(octets + at));
  record.rclass = static_cast<RRClass>(load_u16(octets + at + 2));
  record.ttl = load_u32(octets + at + 4);
  record.rdata = TRY(extract_rdata(wire, at + 10, size - at - 10, record.type));
  return record;
}

std::string rdata_to_text(RRType type, BytesView rdata) {
  Bytes wire{0};  // the root as owner
  append_u16(wire, static_cast<std::uint16_t>(type));
  append_u16(wire, static_cast<std::uint16_t>(RRClass::in));
  append_u32(wire, 0);
  append_u16(wire, static_cast<std::uint16_t>(rdata.size()));
  append(wire, rdata);
  ldns_rr* parsed = nullptr;
  std::size_t at = 0;
  if (ldns_wire2rr(&parsed, wire.data(), wire.size(), &at, LDNS_SECTION_ANSWER) != LDNS_STATUS_OK) {
    return generic_text(rdata);
  }
  const RrHandle rr(parsed);
  std::string text;
  for (std::size_t i = 0; i < ldns_rr_rd_count(rr.get()); ++i) {
    const std::unique_ptr<char, Free> field(ldns_rdf2str(ldns_rr_rdf(rr.get(), i)));
    if (!field) return generic_text(rdata);
    if (!text.empty()) text += ' ';
    text += field.get();
  }
  return one_line(std::move(text));
}

std::string to_text(const Record& record) {
  const char* rclass = record.rclass == RRClass::in     ? "IN"
                       : record.rclass == RRClass::none ? "NONE"
                       : record.rclass == RRClass::any  ? "ANY"
                                                        : "CH";
  std::string text = record.owner.to_text() + " " + std::to_string(record.ttl) + " " + rclass +
                     " " + to_text(record.type);
  if (!record.rdata.empty()) text += " " + rdata_to_text(record.type, record.rdata);
  return text;
}

}  // namespace mutua::wire
