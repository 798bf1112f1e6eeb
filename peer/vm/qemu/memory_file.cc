#include "peer/vm/qemu/memory_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/assert.h"

namespace mutua::vm::qemu {
namespace {

constexpr std::string_view kMagic = "MUTUAQM\n";
constexpr std::uint64_t kVersion = 1;
constexpr std::uint64_t kMostMemoryBytes = 64ull << 30;
constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kReadBytes = 64 << 10;

constexpr std::size_t kVersionAt = 8, kMemoryAt = 16, kStateAt = 24, kGenerationAt = 32;
constexpr std::size_t kKernelDigestAt = 40, kStateDigestAt = 72, kAddressAt = 104;
constexpr std::size_t kMachineAt = 120, kZeroesAt = 184, kDigestAt = 4064;
constexpr std::size_t kDigestBytes = 32;

std::uint64_t load_u64(const std::uint8_t* at) {
  return static_cast<std::uint64_t>(load_u32(at)) << 32 | load_u32(at + 4);
}
void store_u64(std::uint8_t* at, std::uint64_t value) {
  store_u32(at, static_cast<std::uint32_t>(value >> 32));
  store_u32(at + 4, static_cast<std::uint32_t>(value));
}

trust::Digest load_digest(BytesView bytes, std::size_t at) {
  std::array<std::uint8_t, kDigestBytes> octets{};
  std::copy_n(bytes.data() + at, kDigestBytes, octets.data());
  return trust::Digest(octets);
}

void store_text(Bytes& out, std::size_t at, std::size_t room, std::string_view text) {
  BASE_ASSERT(text.size() < room);
  std::copy(text.begin(), text.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
}

Result<std::string> load_text(BytesView bytes, std::size_t at, std::size_t room) {
  const std::string_view field = as_text(bytes.subspan(at, room));
  const auto end = field.find('\0');
  if (end == std::string_view::npos || end == 0 ||
      field.find_first_not_of('\0', end) != std::string_view::npos) {
    return errorf("a malformed text in the trailer");
  }
  const std::string_view text = field.substr(0, end);
  const bool printable =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (!printable) return errorf("a malformed text in the trailer");
  return std::string(text);
}

}  // namespace

Bytes print_trailer(const MemoryTrailer& trailer) {
  Bytes out(kTrailerBytes);
  std::copy(kMagic.begin(), kMagic.end(), out.begin());
  store_u64(out.data() + kVersionAt, kVersion);
  store_u64(out.data() + kMemoryAt, trailer.memory_bytes);
  store_u64(out.data() + kStateAt, trailer.state_bytes);
  store_u64(out.data() + kGenerationAt, trailer.generation);
  std::copy_n(trailer.kernel.octets().data(), kDigestBytes, out.data() + kKernelDigestAt);
  std::copy_n(trailer.state.octets().data(), kDigestBytes, out.data() + kStateDigestAt);
  store_text(out, kAddressAt, kMachineAt - kAddressAt, trailer.address);
  store_text(out, kMachineAt, kZeroesAt - kMachineAt, trailer.machine);
  const trust::Digest digest = trust::sha256(BytesView(out).first(kDigestAt));
  std::copy_n(digest.octets().data(), kDigestBytes, out.data() + kDigestAt);
  return out;
}

Result<MemoryTrailer> parse_trailer(BytesView bytes, std::uint64_t file_bytes) {
  if (bytes.size() != kTrailerBytes || !as_text(bytes).starts_with(kMagic)) {
    return errorf("truncated, or not the memory of a QEMU machine");
  }
  if (trust::sha256(bytes.first(kDigestAt)) != load_digest(bytes, kDigestAt)) {
    return errorf("the checksum of the trailer is wrong");
  }
  const std::uint8_t* at = bytes.data();
  if (load_u64(at + kVersionAt) != kVersion) {
    return errorf("version %llu", static_cast<unsigned long long>(load_u64(at + kVersionAt)));
  }
  const BytesView zeroes = bytes.subspan(kZeroesAt, kDigestAt - kZeroesAt);
  if (std::any_of(zeroes.begin(), zeroes.end(), [](std::uint8_t octet) { return octet != 0; })) {
    return errorf("something in the trailer that should be zero");
  }
  MemoryTrailer trailer;
  trailer.memory_bytes = load_u64(at + kMemoryAt);
  trailer.state_bytes = load_u64(at + kStateAt);
  trailer.generation = load_u64(at + kGenerationAt);
  trailer.kernel = load_digest(bytes, kKernelDigestAt);
  trailer.state = load_digest(bytes, kStateDigestAt);
  trailer.address = TRY(load_text(bytes, kAddressAt, kMachineAt - kAddressAt));
  trailer.machine = TRY(load_text(bytes, kMachineAt, kZeroesAt - kMachineAt));
  if (trailer.memory_bytes == 0 || trailer.memory_bytes > kMostMemoryBytes ||
      trailer.memory_bytes % kPageBytes != 0) {
    return errorf("%llu bytes of memory", static_cast<unsigned long long>(trailer.memory_bytes));
  }
  if (trailer.state_bytes == 0 || trailer.state_bytes > kMostStateBytes) {
    return errorf("%llu bytes of device state",
                  static_cast<unsigned long long>(trailer.state_bytes));
  }
  if (trailer.file_bytes() != file_bytes) {
    return errorf("%llu bytes instead of %llu: truncated, or longer than it says",
                  static_cast<unsigned long long>(file_bytes),
                  static_cast<unsigned long long>(trailer.file_bytes()));
  }
  return trailer;
}

Result<trust::Digest> digest_of(int file, std::uint64_t offset, std::uint64_t bytes) {
  trust::Sha256 digest;
  Bytes buffer(kReadBytes);
  for (std::uint64_t done = 0; done < bytes;) {
    const auto wanted = std::min<std::uint64_t>(buffer.size(), bytes - done);
    const ssize_t got = ::pread(file, buffer.data(), static_cast<std::size_t>(wanted),
                                static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error(errno, "read");
    if (got == 0) return errorf("truncated");
    digest.update(BytesView(buffer).first(static_cast<std::size_t>(got)));
    done += static_cast<std::uint64_t>(got);
  }
  return digest.finish();
}

Result<MemoryFile> MemoryFile::open(const std::filesystem::path& path) {
  auto read = [&path]() -> Result<MemoryFile> {
    UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) != 0) return errno_error(errno, "open");
    if (!S_ISREG(status.st_mode)) return errorf("not a regular file");
    const auto file_bytes = static_cast<std::uint64_t>(status.st_size);
    Bytes bytes(kTrailerBytes);
    if (file_bytes < kTrailerBytes || ::pread(file.get(), bytes.data(), bytes.size(),
                                              static_cast<off_t>(file_bytes - kTrailerBytes)) !=
                                          static_cast<ssize_t>(bytes.size())) {
      return errorf("truncated");
    }
    MemoryTrailer trailer = TRY(parse_trailer(bytes, file_bytes));
    const auto state = TRY(digest_of(file.get(), trailer.memory_bytes, trailer.state_bytes));
    if (state != trailer.state) return errorf("the checksum of the device state is wrong");
    return MemoryFile(std::move(file), std::move(trailer));
  }();
  if (!read.ok()) return read.error().in("snapshot " + path.string());
  return read;
}

}  // namespace mutua::vm::qemu
