#pragma once

#include <string>
#include <vector>

#include "authority/tap/tap_ring.h"
#include "base/bytes.h"

namespace mutua::authority {

// Exchanges as frames of dnstap (protobuf): a question and its answer are an AUTH_QUERY and an
// AUTH_RESPONSE, an update an UPDATE_QUERY, its answer an UPDATE_RESPONSE.
class TapEncoder {
 public:
  TapEncoder(std::string identity, std::string version)
      : identity_(std::move(identity)), version_(std::move(version)) {}

  void add(const TapExchange& exchange);
  // What was added since clear(). Valid until the next call of another function.
  std::vector<BytesView> frames() const;
  std::size_t octets() const { return octets_.size(); }
  void clear();

 private:
  enum class Half { query, response };
  void put(const TapExchange& exchange, Half half);

  const std::string identity_, version_;
  Bytes octets_;                   // of all frames
  std::vector<std::size_t> ends_;  // of each frame
};

}  // namespace mutua::authority
