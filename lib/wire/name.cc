#include "wire/name.h"

#include <algorithm>
#include <array>

namespace mutua::wire {
namespace {

constexpr std::size_t kLongestName = 255;
constexpr std::size_t kLongestLabel = 63;

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

std::size_t length_at(const std::string& wire, std::size_t offset) {
  return static_cast<unsigned char>(wire[offset]);
}

// The offsets of the labels, leftmost first.
struct LabelOffsets {
  explicit LabelOffsets(const std::string& wire) {
    for (std::size_t at = 0; wire[at] != 0; at += 1 + length_at(wire, at)) {
      offsets[count++] = static_cast<std::uint8_t>(at);
    }
  }
  std::array<std::uint8_t, 128> offsets;
  unsigned count = 0;
};

// The value of a "\DDD" or "\X" escape behind the backslash at `at`; moves `at` behind it.
Result<char> read_escape(std::string_view text, std::size_t& at) {
  const auto is_digit = [&](std::size_t i) {
    return i < text.size() && text[i] >= '0' && text[i] <= '9';
  };
  if (at >= text.size()) return Error("a backslash at the end of a name");
  if (!is_digit(at)) return text[at++];
  if (!is_digit(at + 1) || !is_digit(at + 2)) return Error("an escape of fewer than three digits");
  const int value = (text[at] - '0') * 100 + (text[at + 1] - '0') * 10 + (text[at + 2] - '0');
  if (value > 255) return Error("an escape above \\255");
  at += 3;
  return static_cast<char>(value);
}

Result<void> append_label(std::string& wire, std::string_view label) {
  if (label.empty()) return Error("an empty label");
  if (label.size() > kLongestLabel) return Error("a label of more than 63 octets");
  wire += static_cast<char>(label.size());
  wire += label;
  if (wire.size() >= kLongestName) return Error("a name of more than 255 octets");
  return {};
}

}  // namespace

Name::Name() : wire_(1, '\0') {}

Result<Name> Name::parse(std::string_view text) {
  if (text == ".") return Name();
  const auto failed = [&](const Error& error) {
    return error.in("name '" + std::string(text.substr(0, 300)) + "'");
  };
  if (text.empty()) return failed(Error("empty"));
  std::string wire;
  std::string label;
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at++];
    if (c == '.') {
      if (auto added = append_label(wire, label); !added.ok()) return failed(added.error());
      label.clear();
    } else if (c == '\\') {
      auto escaped = read_escape(text, at);
      if (!escaped.ok()) return failed(escaped.error());
      label += *escaped;
    } else {
      label += c;
    }
  }
  if (!label.empty()) {
    if (auto added = append_label(wire, label); !added.ok()) return failed(added.error());
  }
  wire += '\0';
  return Name(std::move(wire));
}

Result<Name> Name::from_wire(BytesView octets) {
  std::size_t at = 0;
  while (at < octets.size() && octets[at] != 0) {
    if (octets[at] > kLongestLabel) return Error("name: a label of more than 63 octets");
    at += 1U + octets[at];
  }
  if (at + 1 != octets.size() || octets.size() > kLongestName) {
    return Error("name: does not end where it should");
  }
  return Name(std::string(as_text(octets)));
}

std::string Name::to_text() const {
  if (is_root()) return ".";
  std::string text;
  const unsigned labels = label_count();
  for (unsigned i = 0; i < labels; ++i) {
    for (const char c : label(i)) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte <= 0x20 || byte >= 0x7f) {
        char escaped[5];
        std::snprintf(escaped, sizeof escaped, "\\%03u", byte);
        text += escaped;
      } else {
        if (std::string_view(".\\\"();@$").find(c) != std::string_view::npos) text += '\\';
        text += c;
      }
    }
    text += '.';
  }
  return text;
}

unsigned Name::label_count() const { return LabelOffsets(wire_).count; }

std::string_view Name::label(unsigned index) const {
  const LabelOffsets labels(wire_);
  BASE_ASSERT(index < labels.count);
  const std::size_t at = labels.offsets[index];
  return std::string_view(wire_).substr(at + 1, length_at(wire_, at));
}

Name Name::parent() const {
  if (is_root()) return *this;
  return Name(wire_.substr(1 + length_at(wire_, 0)));
}

Name Name::ancestor(unsigned labels) const {
  const LabelOffsets all(wire_);
  BASE_ASSERT(labels <= all.count);
  if (labels == 0) return Name();
  return Name(wire_.substr(all.offsets[all.count - labels]));
}

Result<Name> Name::child(std::string_view label) const {
  std::string wire;
  TRY(append_label(wire, label));
  wire += wire_;
  if (wire.size() > kLongestName) return Error("a name of more than 255 octets");
  return Name(std::move(wire));
}

Result<Name> Name::under(const Name& suffix) const {
  std::string wire = wire_.substr(0, wire_.size() - 1) + suffix.wire_;
  if (wire.size() > kLongestName) return Error("a name of more than 255 octets");
  return Name(std::move(wire));
}

bool Name::is_at_or_below(const Name& ancestor) const {
  if (ancestor.wire_.size() > wire_.size()) return false;
  const std::size_t start = wire_.size() - ancestor.wire_.size();
  // The tail must begin at a label, not inside one.
  std::size_t at = 0;
  while (at < start) at += 1 + length_at(wire_, at);
  return at == start && equal_ignoring_case(std::string_view(wire_).substr(start), ancestor.wire_);
}

Name Name::lowered() const {
  std::string wire = wire_;
  // Label lengths are at most 63, below 'A': lowering every octet leaves them alone.
  std::ranges::transform(wire, wire.begin(), lower);
  return Name(std::move(wire));
}

bool Name::operator==(const Name& other) const { return equal_ignoring_case(wire_, other.wire_); }

std::weak_ordering Name::operator<=>(const Name& other) const {
  const LabelOffsets mine(wire_);
  const LabelOffsets theirs(other.wire_);
  for (unsigned i = 1; i <= std::min(mine.count, theirs.count); ++i) {
    const std::size_t a = mine.offsets[mine.count - i];
    const std::size_t b = theirs.offsets[theirs.count - i];
    const std::size_t a_length = length_at(wire_, a);
    const std::size_t b_length = length_at(other.wire_, b);
    for (std::size_t k = 1; k <= std::min(a_length, b_length); ++k) {
      const auto x = static_cast<unsigned char>(lower(wire_[a + k]));
      const auto y = static_cast<unsigned char>(lower(other.wire_[b + k]));
      if (x != y) return x <=> y;
    }
    if (a_length != b_length) return a_length <=> b_length;
  }
  return mine.count <=> theirs.count;
}

std::size_t Name::hash() const {
  std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a
  for (const char c : wire_) {
    hash ^= static_cast<unsigned char>(lower(c));
    hash *= 0x100000001b3U;
  }
  return hash;
}

Result<Name> read_name(BytesView message, std::size_t& offset) {
  std::array<std::uint8_t, kLongestName> octets;
  std::size_t length = 0;
  std::size_t at = offset;
  std::size_t lowest = offset;  // pointers must aim below everything read so far
  bool jumped = false;
  for (;;) {
    if (at >= message.size()) return Error("name: runs past the end");
    const std::uint8_t octet = message[at];
    if (octet >= 0xc0) {
      if (at + 1 >= message.size()) return Error("name: runs past the end");
      const std::size_t target = (octet & 0x3fU) << 8 | message[at + 1];
      if (!jumped) offset = at + 2;
      jumped = true;
      if (target >= lowest) return Error("name: a compression pointer that does not go back");
      lowest = at = target;
      continue;
    }
    if (octet > kLongestLabel) return Error("name: an unknown label type");
    if (at + 1 + octet > message.size()) return Error("name: runs past the end");
    if (length + 1 + octet > kLongestName - (octet ? 1U : 0U))
      return Error("name: longer than 255 octets");
    std::copy_n(message.begin() + static_cast<std::ptrdiff_t>(at), 1U + octet,
                octets.begin() + static_cast<std::ptrdiff_t>(length));
    length += 1U + octet;
    at += 1U + octet;
    if (octet == 0) break;
  }
  if (!jumped) offset = at;
  return Name::from_wire({octets.data(), length});
}

bool skip_name(BytesView message, std::size_t& offset) {
  while (offset < message.size()) {
    const std::uint8_t octet = message[offset];
    if (octet >= 0xc0) {
      offset += 2;
      return offset <= message.size();
    }
    if (octet > kLongestLabel) return false;
    offset += 1U + octet;
    if (octet == 0) return true;
  }
  return false;
}

}  // namespace mutua::wire
