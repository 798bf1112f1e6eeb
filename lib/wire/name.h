#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace mutua::wire {

// A domain name, absolute, in uncompressed wire format (RFC 1035 section 3.1): at most 255 octets,
// labels of at most 63. Keeps the letter case that it was given; compares, orders (RFC 4034
// section 6.1) and hashes without regard to it. A value.
class Name {
 public:
  Name();  // the root

  // Presentation format (RFC 1035 section 5.1, \DDD and \X escapes); a final dot may be left out.
  static Result<Name> parse(std::string_view text);
  // Exactly one uncompressed name and nothing after it.
  static Result<Name> from_wire(BytesView octets);

  BytesView wire() const { return as_bytes(wire_); }
  std::string to_text() const;  // with the final dot

  bool is_root() const { return wire_.size() == 1; }
  unsigned label_count() const;                      // without the root label
  std::string_view label(unsigned index) const;      // index 0 is the leftmost
  Name parent() const;                               // the root's parent is the root
  Name ancestor(unsigned labels) const;              // the last `labels` labels
  Result<Name> child(std::string_view label) const;  // label + this
  Result<Name> under(const Name& suffix) const;      // this + suffix
  bool is_at_or_below(const Name& ancestor) const;
  Name lowered() const;  // ASCII letters in lower case

  bool operator==(const Name& other) const;
  std::weak_ordering operator<=>(const Name& other) const;  // canonical order
  std::size_t hash() const;

 private:
  explicit Name(std::string wire) : wire_(std::move(wire)) {}
  std::string wire_;
};

// Reads a possibly compressed name that starts at `offset` of `message`; moves `offset` behind it.
// Pointers must go strictly backwards, so that a read always ends (RFC 1035 section 4.1.4).
Result<Name> read_name(BytesView message, std::size_t& offset);

// Moves `offset` behind the name that starts there; false where it does not end inside.
bool skip_name(BytesView message, std::size_t& offset);

}  // namespace mutua::wire

template <>
struct std::hash<mutua::wire::Name> {
  std::size_t operator()(const mutua::wire::Name& name) const { return name.hash(); }
};
