#include "peer/registration/update_message.h"

#include "trust/random.h"

namespace mutua::peer {

using wire::RRClass;
using wire::RRType;

UpdateMessage::UpdateMessage(const wire::Name& zone) {
  message.header.id = static_cast<std::uint16_t>(trust::random_u32());
  message.header.opcode = wire::Opcode::update;
  message.question.push_back({zone, RRType::soa, RRClass::in});
  message.edns.emplace();  // without it an authority may not say why it refuses (RFC 8914)
}

void UpdateMessage::require_unused(const wire::Name& name) {
  message.answer.push_back({name, RRType::any, RRClass::none, 0, {}});
}
void UpdateMessage::require_record(const wire::Name& name, RRType type, Bytes rdata) {
  message.answer.push_back({name, type, RRClass::in, 0, std::move(rdata)});
}
void UpdateMessage::add(const wire::Name& name, RRType type, std::uint32_t ttl, Bytes rdata) {
  message.authority.push_back({name, type, RRClass::in, ttl, std::move(rdata)});
}
void UpdateMessage::remove_name(const wire::Name& name) {
  message.authority.push_back({name, RRType::any, RRClass::any, 0, {}});
}
void UpdateMessage::remove_rrset(const wire::Name& name, RRType type) {
  message.authority.push_back({name, type, RRClass::any, 0, {}});
}
void UpdateMessage::remove_record(const wire::Name& name, RRType type, Bytes rdata) {
  message.authority.push_back({name, type, RRClass::none, 0, std::move(rdata)});
}

}  // namespace mutua::peer
