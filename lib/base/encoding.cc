#include "base/encoding.h"

#include <array>

namespace mutua {
namespace {

constexpr std::string_view kBase32Digits = "abcdefghijklmnopqrstuvwxyz234567";
constexpr std::string_view kBase64Digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

int hex_digit(char c) {
  c = lower(c);
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Packs digits of `width` bits into octets; returns the bits left over in `rest_bits`.
class BitPacker {
 public:
  explicit BitPacker(unsigned width) : width_(width) {}
  void push(unsigned digit) {
    bits_ = bits_ << width_ | digit;
    count_ += width_;
    if (count_ < 8) return;
    count_ -= 8;
    bytes_.push_back(static_cast<std::uint8_t>(bits_ >> count_));
    bits_ &= (1U << count_) - 1;
  }
  // True when the unused trailing bits are zero and fewer than one digit.
  bool clean() const { return bits_ == 0 && count_ < width_; }
  Bytes take() { return std::move(bytes_); }

 private:
  unsigned width_;
  unsigned bits_ = 0;
  unsigned count_ = 0;
  Bytes bytes_;
};

std::string encode_bits(BytesView bytes, unsigned width, std::string_view digits) {
  std::string text;
  unsigned bits = 0;
  unsigned count = 0;
  for (const std::uint8_t byte : bytes) {
    bits = bits << 8 | byte;
    count += 8;
    while (count >= width) {
      count -= width;
      text += digits[bits >> count & ((1U << width) - 1)];
    }
    bits &= (1U << count) - 1;
  }
  if (count > 0) text += digits[bits << (width - count) & ((1U << width) - 1)];
  return text;
}

}  // namespace

std::string hex_encode(BytesView bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

Result<Bytes> hex_decode(std::string_view text) {
  if (text.size() % 2 != 0) return Error("hex: odd number of digits");
  Bytes bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_digit(text[i]);
    const int low = hex_digit(text[i + 1]);
    if (high < 0 || low < 0) return Error("hex: not a hexadecimal digit");
    bytes.push_back(static_cast<std::uint8_t>(high << 4 | low));
  }
  return bytes;
}

std::string base32_encode(BytesView bytes) { return encode_bits(bytes, 5, kBase32Digits); }

Result<Bytes> base32_decode(std::string_view text) {
  BitPacker packer(5);
  for (const char c : text) {
    const auto digit = kBase32Digits.find(lower(c));
    if (digit == std::string_view::npos) return Error("base32: not a base32 digit");
    packer.push(static_cast<unsigned>(digit));
  }
  if (!packer.clean()) return Error("base32: bits left over at the end");
  return packer.take();
}

std::string base64_encode(BytesView bytes) {
  std::string text = encode_bits(bytes, 6, kBase64Digits);
  while (text.size() % 4 != 0) text += '=';
  return text;
}

Result<Bytes> base64_decode(std::string_view text) {
  BitPacker packer(6);
  std::size_t digits = 0;
  std::size_t padding = 0;
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') continue;
    if (c == '=') {
      ++padding;
      continue;
    }
    const auto digit = kBase64Digits.find(c);
    if (digit == std::string_view::npos || padding > 0) return Error("base64: not a base64 digit");
    packer.push(static_cast<unsigned>(digit));
    ++digits;
  }
  if ((digits + padding) % 4 != 0 || padding > 2) return Error("base64: wrong length");
  if (!packer.clean()) return Error("base64: bits left over at the end");
  return packer.take();
}

}  // namespace mutua
