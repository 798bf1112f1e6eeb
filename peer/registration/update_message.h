#pragma once

#include <cstdint>

#include "wire/message.h"

namespace mutua::peer {

// A DNS UPDATE (RFC 2136) in the making.
class UpdateMessage {
 public:
  // The zone section; a random id.
  explicit UpdateMessage(const wire::Name& zone);

  void require_unused(const wire::Name& name);                                  // 2.4.5
  void require_record(const wire::Name& name, wire::RRType type, Bytes rdata);  // 2.4.2
  void add(const wire::Name& name, wire::RRType type, std::uint32_t ttl, Bytes rdata);
  void remove_name(const wire::Name& name);                                    // 2.5.3
  void remove_rrset(const wire::Name& name, wire::RRType type);                // 2.5.2
  void remove_record(const wire::Name& name, wire::RRType type, Bytes rdata);  // 2.5.4

  wire::Message message;
};

}  // namespace mutua::peer
