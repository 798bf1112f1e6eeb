#include "peer/directory/directory.h"

#include "peer/directory/tokens.h"
#include "stub_client/stub_client.h"
#include "trust/peer_id.h"
#include "trust/random.h"
#include "wire/rdata.h"

namespace mutua::peer {
namespace {

constexpr std::size_t kMostCommitments = 1024;

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return parts;
}

std::string token(const std::map<std::string, std::string>& tokens, const std::string& key,
                  const std::string& fallback) {
  const auto found = tokens.find(key);
  return found == tokens.end() ? fallback : found->second;
}

Result<trust::Digest> manifest_of(const std::vector<wire::Record>& txt) {
  if (txt.size() != 1) return errorf("expected one TXT record, found %zu", txt.size());
  const auto tokens = TRY(parse_tokens(txt.front().rdata));
  return trust::Digest::parse(token(tokens, "manifest", ""));
}

}  // namespace

Directory::Directory(ZoneNames names, std::vector<SocketAddress> authorities,
                     std::chrono::milliseconds timeout)
    : names_(std::move(names)), authorities_(std::move(authorities)), timeout_(timeout) {}

Result<std::vector<wire::Record>> Directory::query(const wire::Name& name,
                                                   wire::RRType type) const {
  wire::Message message;
  message.header.id = static_cast<std::uint16_t>(trust::random_u32());
  message.question.push_back({name, type, wire::RRClass::in});
  message.edns.emplace();
  const Bytes bytes = message.to_wire();
  Error problem("no authority is configured");
  for (const SocketAddress& authority : authorities_) {
    auto response = stub_client::exchange(authority, bytes, timeout_);
    if (!response.ok()) {
      problem = response.error();
      continue;
    }
    wire::Message answer = TRY(wire::parse(*response));
    const wire::Rcode rcode = answer.header.rcode;
    if (rcode != wire::Rcode::noerror && rcode != wire::Rcode::nxdomain) {
      problem = Error(authority.to_text() + " answers " + wire::to_text(rcode));
      continue;
    }
    std::erase_if(answer.answer, [&](const wire::Record& record) {
      return record.type != type || record.owner != name;
    });
    return std::move(answer.answer);
  }
  return problem.in("ask for " + name.to_text() + " " + wire::to_text(type));
}

Result<std::optional<ServiceRecord>> Directory::service(const wire::Name& name) const {
  const auto keys = TRY(query(name, wire::RRType::key));
  if (keys.empty()) return std::optional<ServiceRecord>();
  const std::string object = "service " + name.to_text();
  if (keys.size() != 1) return errorf("%s has %zu KEY records", object.c_str(), keys.size());
  const wire::Key key = TRY(wire::parse_key(keys.front().rdata));
  const auto txt = TRY(query(name, wire::RRType::txt));
  if (txt.size() != 1) return errorf("%s has %zu TXT records", object.c_str(), txt.size());
  const auto tokens = TRY(parse_tokens(txt.front().rdata));
  if (token(tokens, "v", "") != "1") return Error(object + ": its TXT is not of version 1");
  std::optional<trust::Digest> previous;
  if (const std::string text = token(tokens, "previous", ""); !text.empty()) {
    previous = TRY(trust::Digest::parse(text));
  }
  return std::optional(
      ServiceRecord{name, TRY(trust::PublicKey::create(key.algorithm, key.public_key)),
                    trust::peer_id(BytesView(keys.front().rdata)),
                    TRY(trust::Digest::parse(token(tokens, "manifest", ""))), previous,
                    split(token(tokens, "base", ""), ','), token(tokens, "ports", ""),
                    token(tokens, "admission", "audited")});
}

Result<std::vector<SocketAddress>> Directory::host_addresses(const wire::Name& host,
                                                             std::uint16_t port) const {
  std::vector<SocketAddress> addresses;
  for (const wire::RRType type : {wire::RRType::a, wire::RRType::aaaa}) {
    const auto records = TRY(query(host, type));
    for (const wire::Record& record : records) {
      addresses.push_back(TRY(SocketAddress::from_octets(record.rdata, port)));
    }
  }
  return addresses;
}

Result<std::vector<CommitmentRecord>> Directory::commitments(const wire::Name& service,
                                                             std::uint16_t port,
                                                             std::string_view transport) const {
  const wire::Name at = TRY(port_name(service, port, transport));
  auto pointers = TRY(query(at, wire::RRType::ptr));
  if (pointers.size() > kMostCommitments) pointers.resize(kMostCommitments);
  std::vector<CommitmentRecord> commitments;
  for (const wire::Record& pointer : pointers) {
    const wire::Name name = TRY(wire::parse_name_rdata(pointer.rdata));
    const auto services = TRY(query(name, wire::RRType::srv));
    const auto txt = TRY(query(name, wire::RRType::txt));
    if (services.size() != 1 || txt.size() != 1) continue;  // lapsed between two questions
    const wire::Srv srv = TRY(wire::parse_srv(services.front().rdata));
    commitments.push_back({std::string(name.lowered().label(0)), srv.port, TRY(manifest_of(txt)),
                           TRY(host_addresses(srv.target, srv.port))});
  }
  return commitments;
}

Result<std::vector<std::pair<std::string, std::uint16_t>>> Directory::served(
    const wire::Name& service, std::uint16_t port, std::string_view transport) const {
  const wire::Name at = TRY(port_name(service, port, transport));
  const auto records = TRY(query(at, wire::RRType::srv));
  std::vector<std::pair<std::string, std::uint16_t>> peers;
  for (const wire::Record& record : records) {
    const wire::Srv srv = TRY(wire::parse_srv(record.rdata));
    peers.emplace_back(srv.target.lowered().label(0), srv.port);
  }
  return peers;
}

Result<std::vector<SocketAddress>> Directory::exchange(const std::string& peer) const {
  const wire::Name name = TRY(names_.exchange(peer));
  const auto records = TRY(query(name, wire::RRType::srv));
  if (records.empty()) return std::vector<SocketAddress>();
  const wire::Srv srv = TRY(wire::parse_srv(records.front().rdata));
  return host_addresses(srv.target, srv.port);
}

Result<BaseStatus> Directory::base(const std::string& label) const {
  const wire::Name name = TRY(names_.base(label));
  const auto records = TRY(query(name, wire::RRType::txt));
  if (records.size() != 1) return BaseStatus::unknown;
  const auto tokens = TRY(parse_tokens(records.front().rdata));
  const std::string status = token(tokens, "status", "");
  if (status == "trusted") return BaseStatus::trusted;
  return status == "revoked" ? BaseStatus::revoked : BaseStatus::unknown;
}

Result<bool> Directory::exists(const wire::Name& name, wire::RRType type) const {
  const auto records = TRY(query(name, type));
  return !records.empty();
}

}  // namespace mutua::peer
