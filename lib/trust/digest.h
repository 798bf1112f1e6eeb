#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace mutua::trust {

// A SHA-256 digest. A value.
class Digest {
 public:
  static constexpr std::size_t kSize = 32;

  Digest() : octets_{} {}
  explicit Digest(const std::array<std::uint8_t, kSize>& octets) : octets_(octets) {}
  // Fails where they are not kSize octets.
  static Result<Digest> from_octets(BytesView octets);
  // "sha256:" and 64 hexadecimal digits, as OCI writes it.
  static Result<Digest> parse(std::string_view text);

  BytesView octets() const { return octets_; }
  std::string to_text() const;  // "sha256:…"
  std::string hex() const;      // 64 digits
  std::string label() const;    // base32, 52 characters: fits one DNS label

  auto operator<=>(const Digest&) const = default;

 private:
  std::array<std::uint8_t, kSize> octets_;
};

Digest sha256(BytesView bytes);

// SHA-256 of a stream.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(BytesView bytes);
  Digest finish();  // once; the object is spent afterwards

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// SHA-384 of a stream.
class Sha384 {
 public:
  static constexpr std::size_t kSize = 48;

  Sha384();
  ~Sha384();
  Sha384(Sha384&&) noexcept;
  Sha384& operator=(Sha384&&) noexcept;
  void update(BytesView bytes);
  Bytes finish();  // once; the object is spent afterwards

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mutua::trust
