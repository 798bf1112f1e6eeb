#include "peer/registration/owner_updates.h"

#include "peer/registration/update_message.h"
#include "trust/peer_id.h"
#include "wire/rdata.h"

namespace mutua::peer {
namespace {

using wire::RRType;

constexpr std::uint32_t kTtl = 30;  // seconds: how long clients may miss a new manifest or a denial

std::string join(const std::vector<std::string>& parts) {
  std::string joined;
  for (const std::string& part : parts) joined += (joined.empty() ? "" : ",") + part;
  return joined;
}

Result<Bytes> service_txt(const ServiceDescription& description) {
  std::vector<std::string> tokens{"v=1", "manifest=" + description.manifest.to_text()};
  if (description.previous) tokens.push_back("previous=" + description.previous->to_text());
  tokens.push_back("base=" + join(description.bases));
  tokens.push_back("ports=" + description.ports);
  tokens.push_back("admission=" + description.admission);
  return wire::make_txt(tokens);
}

}  // namespace

Result<void> OwnerUpdates::send(const wire::Message& message, const wire::Name& service,
                                const std::string& operation) {
  const auto reply = client_.send(message, service);
  if (!reply.ok()) return reply.error().in(operation);
  if (!reply->accepted()) return reply->to_error(operation);
  return {};
}

Result<void> OwnerUpdates::publish(const wire::Name& service,
                                   const ServiceDescription& description) {
  const std::string operation = "claim " + service.to_text();
  const Bytes key = trust::key_rdata(client_.public_key());
  const Bytes txt = TRY(service_txt(description));

  UpdateMessage claim(names_.zone());
  claim.require_unused(service);
  claim.add(service, RRType::key, kTtl, key);
  claim.add(service, RRType::txt, kTtl, txt);
  const auto reply = client_.send(claim.message, service);
  if (!reply.ok()) return reply.error().in(operation);
  if (reply->accepted()) return {};
  if (reply->rcode != wire::Rcode::yxdomain) return reply->to_error(operation);

  UpdateMessage renewal(names_.zone());
  renewal.require_record(service, RRType::key, key);
  renewal.remove_rrset(service, RRType::txt);
  renewal.add(service, RRType::txt, kTtl, txt);
  const auto second = client_.send(renewal.message, service);
  if (!second.ok()) return second.error().in(operation);
  if (second->rcode == wire::Rcode::nxrrset) {
    return Error(operation + ": the name belongs to another key; choose another name");
  }
  if (!second->accepted()) return second->to_error(operation);
  return {};
}

Result<void> OwnerUpdates::end_roll_over(const wire::Name& service,
                                         ServiceDescription description) {
  const Bytes before = TRY(service_txt(description));
  description.previous.reset();
  const Bytes after = TRY(service_txt(description));
  UpdateMessage update(names_.zone());
  update.require_record(service, RRType::txt, before);
  update.remove_rrset(service, RRType::txt);
  update.add(service, RRType::txt, kTtl, after);
  return send(update.message, service, "end the roll-over of " + service.to_text());
}

Result<void> OwnerUpdates::release(const wire::Name& service) {
  UpdateMessage update(names_.zone());
  update.require_record(service, RRType::key, trust::key_rdata(client_.public_key()));
  update.remove_rrset(service, RRType::txt);
  update.remove_rrset(service, RRType::key);
  return send(update.message, service, "withdraw " + service.to_text());
}

Result<void> OwnerUpdates::admit(const wire::Name& service, const std::string& peer) {
  const wire::Name admission = TRY(admission_name(service, peer));
  const wire::Name denial = TRY(denial_name(service, peer));
  Bytes txt = TRY(wire::make_txt({"v=1"}));
  UpdateMessage update(names_.zone());
  update.remove_rrset(denial, RRType::txt);
  update.remove_rrset(admission, RRType::txt);
  update.add(admission, RRType::txt, kTtl, std::move(txt));
  return send(update.message, service, "admit " + peer + " to " + service.to_text());
}

Result<void> OwnerUpdates::suspend(const wire::Name& service, const std::string& peer) {
  const wire::Name admission = TRY(admission_name(service, peer));
  UpdateMessage update(names_.zone());
  update.remove_rrset(admission, RRType::txt);
  return send(update.message, service, "suspend " + peer + " of " + service.to_text());
}

Result<void> OwnerUpdates::deny(const wire::Name& service, const std::string& peer,
                                const std::string& reason, const trust::Digest& evidence) {
  const wire::Name admission = TRY(admission_name(service, peer));
  const wire::Name denial = TRY(denial_name(service, peer));
  Bytes txt = TRY(wire::make_txt({"v=1", "reason=" + reason, "evidence=" + evidence.to_text()}));
  UpdateMessage update(names_.zone());
  update.remove_rrset(admission, RRType::txt);
  update.remove_rrset(denial, RRType::txt);
  update.add(denial, RRType::txt, kTtl, std::move(txt));
  return send(update.message, service, "deny " + peer + " for " + service.to_text());
}

}  // namespace mutua::peer
