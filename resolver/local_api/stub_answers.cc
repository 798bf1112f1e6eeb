#include "resolver/local_api/stub_answers.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "wire/rdata.h"

namespace mutua::resolver {
namespace {

using wire::Message;
using wire::Name;
using wire::Rcode;
using wire::RRClass;
using wire::RRType;

constexpr std::uint32_t kReverseTtl = 60;

Message response_to(const Message& query, Rcode rcode) {
  Message response = query.response(rcode);
  response.header.recursion_available = true;
  if (query.edns) response.edns.emplace();
  return response;
}

}  // namespace

bool is_about_addresses(RRType type) {
  return type == RRType::a || type == RRType::aaaa || type == RRType::any ||
         type == RRType::https || type == RRType::svcb;
}

StubRequest read_stub_request(BytesView bytes) {
  StubRequest request;
  const auto header = wire::parse_header(bytes);
  if (!header || header->response) return request;
  request.kind = StubRequest::Kind::error;
  request.message.header = *header;
  if (header->opcode != wire::Opcode::query) {
    request.rcode = Rcode::notimp;
    return request;
  }
  auto message = wire::parse(bytes);
  if (!message || message->question.size() != 1) {
    request.rcode = Rcode::formerr;
    return request;
  }
  request.message = std::move(*message);
  if (request.message.edns && request.message.edns->version != 0) {
    request.rcode = Rcode::badvers;
    return request;
  }
  request.kind = StubRequest::Kind::pass_on;
  const wire::Question& question = request.message.question[0];
  if (question.rclass != RRClass::in) return request;
  if (is_about_addresses(question.type)) {
    request.kind = StubRequest::Kind::address;
  } else if (question.type == RRType::ptr) {
    if (const auto address = address_of_reverse_name(question.name)) {
      request.kind = StubRequest::Kind::reverse;
      request.reverse_address = *address;
    }
  }
  return request;
}

Bytes answer_held(const Message& query, const LookupAnswer& answer) {
  Message response = response_to(query, Rcode::noerror);
  const wire::Question& question = query.question[0];
  if (question.type == RRType::a || question.type == RRType::any) {
    Bytes rdata;
    append_u32(rdata, answer.address.value);
    response.answer.push_back({question.name, RRType::a, RRClass::in,
                               static_cast<std::uint32_t>(answer.ttl.count()), std::move(rdata)});
  }
  return response.to_wire();
}

Bytes answer_reverse(const Message& query, const std::optional<std::string>& name) {
  const auto target = name ? Name::parse(*name) : Result<Name>(Error("no name"));
  if (!target) return answer_error(query, Rcode::nxdomain);
  Message response = response_to(query, Rcode::noerror);
  response.answer.push_back(
      {query.question[0].name, RRType::ptr, RRClass::in, kReverseTtl, to_bytes(target->wire())});
  return response.to_wire();
}

Bytes answer_error(const Message& query, Rcode rcode) {
  return response_to(query, rcode).to_wire();
}

Bytes answer_proven(const Message& query, const ZoneAnswer& answer) {
  if (const auto* flaw = std::get_if<Flaw>(&answer)) {
    Message response = response_to(query, Rcode::servfail);
    if (response.edns)
      response.edns->options.push_back(wire::make_extended_error(flaw->code, flaw->text));
    return response.to_wire();
  }
  const Message& proven = std::get<Message>(answer);
  const bool wants_signatures = query.edns && query.edns->dnssec_ok;
  Message response = response_to(query, proven.header.rcode);
  response.header.authentic_data = wants_signatures || query.header.authentic_data;
  if (response.edns) response.edns->dnssec_ok = wants_signatures;
  const auto copy = [&](const std::vector<wire::Record>& from, std::vector<wire::Record>& to) {
    for (const wire::Record& record : from) {
      const bool is_proof = record.type == RRType::rrsig || record.type == RRType::nsec ||
                            record.type == RRType::nsec3;
      if (!is_proof || wants_signatures || record.type == query.question[0].type)
        to.push_back(record);
    }
  };
  copy(proven.answer, response.answer);
  copy(proven.authority, response.authority);
  copy(proven.additional, response.additional);
  return response.to_wire();
}

std::optional<Ipv4> address_of_reverse_name(const Name& name) {
  static const Name suffix = Name::parse("in-addr.arpa.").value();
  if (name.label_count() != 6 || !name.is_at_or_below(suffix)) return std::nullopt;
  Ipv4 address;
  for (unsigned i = 0; i < 4; ++i) {
    const std::string_view label = name.label(3 - i);
    std::uint8_t octet = 0;
    const auto [end, problem] = std::from_chars(label.data(), label.data() + label.size(), octet);
    if (problem != std::errc() || end != label.data() + label.size()) return std::nullopt;
    address.value = address.value << 8 | octet;
  }
  return address;
}

std::size_t udp_limit(const Message& query) {
  return query.edns ? std::max<std::size_t>(query.edns->udp_size, wire::kPlainUdpSize)
                    : wire::kPlainUdpSize;
}

Bytes truncated(const Message& query, BytesView response) {
  if (response.size() <= udp_limit(query)) return to_bytes(response);
  const auto header = wire::parse_header(response);
  Message cut = response_to(query, header ? header->rcode : Rcode::servfail);
  if (header) {
    cut.header.authoritative = header->authoritative;
    cut.header.recursion_available = header->recursion_available;
  }
  cut.header.truncated = true;
  return cut.to_wire();
}

}  // namespace mutua::resolver
