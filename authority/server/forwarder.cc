#include "authority/server/forwarder.h"

#include <algorithm>
#include <utility>

#include "wire/message.h"

namespace mutua::authority {
namespace {

// What goes upstream: the question, DO and CD; nothing else of the client.
Bytes make_upstream_query(const wire::Message& query) {
  wire::Message out;
  out.header.recursion_desired = true;
  out.header.checking_disabled = query.header.checking_disabled;
  out.question = query.question;
  out.edns.emplace();
  out.edns->udp_size = wire::kEdnsUdpSize;
  out.edns->dnssec_ok = query.edns && query.edns->dnssec_ok;
  return out.to_wire();
}

void respond(const Handover& handover, const wire::Message& query, wire::Message response) {
  response.header.recursion_available = true;
  if (query.edns) {
    if (!response.edns) response.edns.emplace();
    response.edns->udp_size = wire::kEdnsUdpSize;
    response.edns->dnssec_ok = query.edns->dnssec_ok;
  } else {
    response.edns.reset();
  }
  std::size_t limit = kTcpResponseSize;
  if (handover.transport == Transport::udp)
    limit = query.edns ? std::clamp<std::size_t>(query.edns->udp_size, wire::kPlainUdpSize,
                                                 kUdpResponseSize)
                       : wire::kPlainUdpSize;
  handover.reply(response.to_wire(limit));
}

// `found`'s content as the response to `query`, whose id, flags and letter case are its own.
wire::Message adopt(const wire::Message& query, const wire::Message& found) {
  wire::Message response = query.response(found.header.rcode);
  response.header.authoritative = false;
  response.answer = found.answer;
  response.authority = found.authority;
  response.additional = found.additional;
  return response;
}

wire::Message failure(const wire::Message& query, const std::string& reason) {
  wire::Message response = query.response(wire::Rcode::servfail);
  response.edns.emplace();
  response.edns->options.push_back(
      wire::make_extended_error(wire::ExtendedError::network_error, reason));
  return response;
}

}  // namespace

Forwarder::Forwarder(std::unique_ptr<upstream::Upstream> upstream, const Clock& clock,
                     std::size_t cache_octets)
    : state_(std::make_shared<State>(clock, cache_octets)), upstream_(std::move(upstream)) {}

bool Forwarder::take(Handover handover) {
  // The query path has read this message; what only the stricter parser refuses gets no answer.
  Result<wire::Message> parsed = wire::parse(handover.message);
  if (!parsed || parsed->question.size() != 1) return false;
  auto query = std::make_shared<const wire::Message>(*std::move(parsed));
  const std::string key = ResponseCache::key_of(*query);
  std::optional<wire::Message> cached;
  {
    const std::lock_guard lock(state_->mutex);
    cached = state_->cache.find(key, state_->clock.steady_now());
  }
  if (cached) {
    respond(handover, *query, adopt(*query, *cached));
    return true;
  }
  Bytes upstream_query = make_upstream_query(*query);
  return upstream_->ask(
      std::move(upstream_query),
      [state = state_, query, key, handover = std::move(handover)](Result<Bytes> octets) {
        if (!octets) return respond(handover, *query, failure(*query, octets.error().message()));
        const Result<wire::Message> answer = wire::parse(*octets);
        if (!answer || answer->question != query->question)
          return respond(handover, *query, failure(*query, "upstream: malformed response"));
        {
          const std::lock_guard lock(state->mutex);
          state->cache.put(key, *answer, state->clock.steady_now());
        }
        respond(handover, *query, adopt(*query, *answer));
      });
}

}  // namespace mutua::authority
