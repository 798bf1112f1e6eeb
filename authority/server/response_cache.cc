#include "authority/server/response_cache.h"

#include <algorithm>
#include <utility>

#include "wire/rdata.h"

namespace mutua::authority {
namespace {

using std::chrono::seconds;

constexpr seconds kLongest = std::chrono::hours(24);
constexpr seconds kLongestNegative = std::chrono::hours(3);  // RFC 2308 section 5

// Nothing where the response may not be kept.
std::optional<seconds> lifetime(const wire::Message& response) {
  const wire::Rcode rcode = response.header.rcode;
  if (response.header.truncated) return std::nullopt;
  if (rcode != wire::Rcode::noerror && rcode != wire::Rcode::nxdomain) return std::nullopt;
  seconds shortest = kLongest;
  for (const auto* section : {&response.answer, &response.authority, &response.additional})
    for (const wire::Record& record : *section) shortest = std::min(shortest, seconds(record.ttl));
  if (rcode == wire::Rcode::noerror && !response.answer.empty()) return shortest;
  for (const wire::Record& record : response.authority) {
    if (record.type != wire::RRType::soa) continue;
    const auto soa = wire::parse_soa(record.rdata);
    if (soa) return std::min({shortest, seconds(soa->minimum), kLongestNegative});
  }
  return std::nullopt;  // negative without a SOA
}

std::size_t octets_of(const wire::Message& response) {
  std::size_t octets = sizeof(wire::Message) + 512;
  for (const auto* section : {&response.answer, &response.authority, &response.additional})
    for (const wire::Record& record : *section)
      octets += sizeof(wire::Record) + record.owner.wire().size() + record.rdata.size();
  return octets;
}

}  // namespace

std::string ResponseCache::key_of(const wire::Message& query) {
  const wire::Question& question = query.question.front();
  std::string key(as_text(question.name.lowered().wire()));
  const auto type = static_cast<std::uint16_t>(question.type);
  key.push_back(static_cast<char>(type >> 8));
  key.push_back(static_cast<char>(type & 0xFF));
  key.push_back(static_cast<char>((query.edns && query.edns->dnssec_ok ? 1 : 0) |
                                  (query.header.checking_disabled ? 2 : 0)));
  return key;
}

void ResponseCache::put(const std::string& key, const wire::Message& response, SteadyTime now) {
  const auto life = lifetime(response);
  const std::size_t octets = octets_of(response);
  if (!life || *life == seconds::zero() || octets > most_octets_) return;
  erase(key);
  while (octets_ + octets > most_octets_) erase(std::string(by_use_.front()));
  const auto use = by_use_.insert(by_use_.end(), key);
  entries_.emplace(key, Entry{response, now, now + *life, octets, use});
  octets_ += octets;
}

std::optional<wire::Message> ResponseCache::find(const std::string& key, SteadyTime now) {
  const auto at = entries_.find(key);
  if (at == entries_.end()) return std::nullopt;
  if (at->second.expires <= now) {
    erase(key);
    return std::nullopt;
  }
  by_use_.splice(by_use_.end(), by_use_, at->second.use);
  wire::Message response = at->second.response;
  const auto age = std::chrono::duration_cast<seconds>(now - at->second.stored).count();
  for (auto* section : {&response.answer, &response.authority, &response.additional})
    for (wire::Record& record : *section) record.ttl -= static_cast<std::uint32_t>(age);
  return response;
}

void ResponseCache::erase(const std::string& key) {
  const auto at = entries_.find(key);
  if (at == entries_.end()) return;
  octets_ -= at->second.octets;
  by_use_.erase(at->second.use);
  entries_.erase(at);
}

}  // namespace mutua::authority
