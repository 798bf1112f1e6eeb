#include "peer/snapshot/ssh_signature.h"

#include "base/encoding.h"
#include "trust/digest.h"

namespace mutua::peer {
namespace {

constexpr std::string_view kMagic = "SSHSIG";
constexpr std::string_view kHash = "sha256";
constexpr std::string_view kBegin = "-----BEGIN SSH SIGNATURE-----";
constexpr std::string_view kEnd = "-----END SSH SIGNATURE-----";
constexpr std::size_t kLineLength = 70;
constexpr std::size_t kScalarBytes = 32;

void append_string(Bytes& out, BytesView content) {
  append_u32(out, static_cast<std::uint32_t>(content.size()));
  append(out, content);
}
void append_string(Bytes& out, std::string_view content) { append_string(out, as_bytes(content)); }

// RFC 4251 mpint: no leading zeroes, but one where the top bit is set.
void append_mpint(Bytes& out, BytesView number) {
  while (!number.empty() && number.front() == 0) number = number.subspan(1);
  Bytes digits;
  if (!number.empty() && (number.front() & 0x80) != 0) digits.push_back(0);
  append(digits, number);
  append_string(out, digits);
}

class Reader {
 public:
  explicit Reader(BytesView bytes) : rest_(bytes) {}

  Result<BytesView> take(std::size_t count) {
    if (count > rest_.size()) return Error("SSH signature: ends too early");
    const BytesView taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  Result<BytesView> string() {
    const BytesView length = TRY(take(4));
    return take(load_u32(length.data()));
  }
  Result<void> expect_string(std::string_view wanted, const char* what) {
    const BytesView found = TRY(string());
    if (as_text(found) != wanted) return errorf("SSH signature: another %s", what);
    return {};
  }
  Result<void> expect_end() const {
    if (!rest_.empty()) return Error("SSH signature: trailing octets");
    return {};
  }

 private:
  BytesView rest_;
};

bool is_ed25519(const trust::PublicKey& key) {
  return key.algorithm() == trust::Algorithm::ed25519;
}

std::string_view key_type(const trust::PublicKey& key) {
  return is_ed25519(key) ? "ssh-ed25519" : "ecdsa-sha2-nistp256";
}

Bytes key_blob(const trust::PublicKey& key) {
  Bytes blob;
  append_string(blob, key_type(key));
  if (is_ed25519(key)) {
    append_string(blob, key.raw());
    return blob;
  }
  Bytes point{0x04};  // SEC 1: an uncompressed point
  append(point, key.raw());
  append_string(blob, "nistp256");
  append_string(blob, point);
  return blob;
}

Bytes signed_bytes(std::string_view name_space, BytesView message) {
  Bytes bytes = to_bytes(kMagic);
  append_string(bytes, name_space);
  append_string(bytes, "");
  append_string(bytes, kHash);
  append_string(bytes, trust::sha256(message).octets());
  return bytes;
}

// `raw` is as trust signs: for P-256 r||s.
Bytes signature_blob(const trust::PublicKey& key, BytesView raw) {
  Bytes blob;
  append_string(blob, key_type(key));
  if (is_ed25519(key)) {
    append_string(blob, raw);
    return blob;
  }
  Bytes numbers;
  append_mpint(numbers, raw.first(kScalarBytes));
  append_mpint(numbers, raw.subspan(kScalarBytes));
  append_string(blob, numbers);
  return blob;
}

Result<void> append_scalar(Bytes& raw, BytesView mpint) {
  if (mpint.size() == kScalarBytes + 1 && mpint.front() == 0) mpint = mpint.subspan(1);
  if (mpint.size() > kScalarBytes) return Error("SSH signature: a number that is too long");
  raw.resize(raw.size() + kScalarBytes - mpint.size());
  append(raw, mpint);
  return {};
}

Result<Bytes> raw_signature(const trust::PublicKey& key, BytesView blob) {
  Reader reader(blob);
  TRY(reader.expect_string(key_type(key), "signature type"));
  const BytesView content = TRY(reader.string());
  TRY(reader.expect_end());
  if (is_ed25519(key)) return to_bytes(content);
  Reader numbers(content);
  Bytes raw;
  for (int number = 0; number < 2; ++number) {
    const BytesView mpint = TRY(numbers.string());
    TRY(append_scalar(raw, mpint));
  }
  TRY(numbers.expect_end());
  return raw;
}

Result<Bytes> unarmor(std::string_view armored) {
  if (armored.size() > kLargestSshSignatureBytes) return Error("SSH signature: too long");
  const auto begin = armored.find(kBegin);
  const auto end = armored.find(kEnd);
  if (begin != 0 || end == std::string_view::npos) return Error("SSH signature: no armor");
  return base64_decode(armored.substr(kBegin.size(), end - kBegin.size()));
}

}  // namespace

std::string make_ssh_signature(const trust::PrivateKey& key, std::string_view name_space,
                               BytesView message) {
  const trust::PublicKey& public_key = key.public_key();
  Bytes blob = to_bytes(kMagic);
  append_u32(blob, 1);
  append_string(blob, key_blob(public_key));
  append_string(blob, name_space);
  append_string(blob, "");
  append_string(blob, kHash);
  append_string(blob, signature_blob(public_key, key.sign(signed_bytes(name_space, message))));
  const std::string base64 = base64_encode(blob);
  std::string armored(kBegin);
  for (std::size_t at = 0; at < base64.size(); at += kLineLength) {
    armored += '\n' + base64.substr(at, kLineLength);
  }
  armored += '\n';
  armored += kEnd;
  armored += '\n';
  return armored;
}

Result<void> verify_ssh_signature(std::string_view armored, const trust::PublicKey& key,
                                  std::string_view name_space, BytesView message) {
  const Bytes blob = TRY(unarmor(armored));
  Reader reader(blob);
  const BytesView magic = TRY(reader.take(kMagic.size()));
  if (as_text(magic) != kMagic) return Error("SSH signature: no magic");
  const BytesView version = TRY(reader.take(4));
  if (load_u32(version.data()) != 1) return Error("SSH signature: another version");
  TRY(reader.expect_string(as_text(key_blob(key)), "key"));
  TRY(reader.expect_string(name_space, "namespace"));
  TRY(reader.string());  // reserved: readers ignore it, the signature covers it as empty
  TRY(reader.expect_string(kHash, "hash than sha256"));
  const BytesView encoded = TRY(reader.string());
  TRY(reader.expect_end());
  const Bytes raw = TRY(raw_signature(key, encoded));
  if (!key.verify(signed_bytes(name_space, message), raw)) {
    return Error("SSH signature: does not hold");
  }
  return {};
}

std::string ssh_public_key(const trust::PublicKey& key) {
  return std::string(key_type(key)) + " " + base64_encode(key_blob(key));
}

}  // namespace mutua::peer
