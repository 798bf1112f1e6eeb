#include "peer/vm/uml/kernel_file.h"

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "base/bytes.h"
#include "base/encoding.h"
#include "base/unique_fd.h"

namespace mutua::vm::uml {
namespace {

constexpr std::size_t kMostNoteBytes = 64 << 10;
constexpr unsigned kMostSegments = 128;

// Fills `size` bytes at `to`; false at the end of the file.
bool read_at(int file, std::uint64_t offset, void* to, std::size_t size) {
  ssize_t got = 0;
  do {
    got = ::pread(file, to, size, static_cast<off_t>(offset));
  } while (got < 0 && errno == EINTR);
  return got == static_cast<ssize_t>(size);
}

std::size_t word_up(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

std::optional<std::string> find_build_id(BytesView notes) {
  while (notes.size() >= sizeof(Elf64_Nhdr)) {
    Elf64_Nhdr head{};
    std::memcpy(&head, notes.data(), sizeof head);
    notes = notes.subspan(sizeof head);
    const std::size_t name_bytes = word_up(head.n_namesz);
    const std::size_t value_bytes = word_up(head.n_descsz);
    if (name_bytes > notes.size() || value_bytes > notes.size() - name_bytes) return std::nullopt;
    if (head.n_type == NT_GNU_BUILD_ID && head.n_namesz == 4 &&
        std::memcmp(notes.data(), ELF_NOTE_GNU, 4) == 0) {
      return hex_encode(notes.subspan(name_bytes, head.n_descsz));
    }
    notes = notes.subspan(name_bytes + value_bytes);
  }
  return std::nullopt;
}

}  // namespace

Result<std::string> read_kernel_build_id(const std::filesystem::path& kernel) {
  const UniqueFd file(::open(kernel.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return errno_error(errno, "open " + kernel.string());
  Elf64_Ehdr header{};
  if (!read_at(file.get(), 0, &header, sizeof header) ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_phentsize != sizeof(Elf64_Phdr) ||
      header.e_phnum > kMostSegments) {
    return errorf("%s: not a kernel", kernel.c_str());
  }
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    if (!read_at(file.get(), header.e_phoff + i * sizeof segment, &segment, sizeof segment)) break;
    if (segment.p_type != PT_NOTE || segment.p_filesz > kMostNoteBytes) continue;
    Bytes notes(segment.p_filesz);
    if (!read_at(file.get(), segment.p_offset, notes.data(), notes.size())) break;
    if (auto id = find_build_id(notes)) return std::move(*id);
  }
  return errorf("%s: a kernel without a build id", kernel.c_str());
}

}  // namespace mutua::vm::uml
