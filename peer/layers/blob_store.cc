#include "peer/layers/blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

#include "base/durable_file.h"

namespace mutua::peer {
namespace {

constexpr std::size_t kChunkBytes = 256 * 1024;
constexpr std::chrono::milliseconds kWriterPollInterval{50};
constexpr std::chrono::seconds kCopyPatience{60};
constexpr std::string_view kLayoutMark = R"({"imageLayoutVersion":"1.0.0"})";

Result<void> make_folder(const std::filesystem::path& folder) {
  std::error_code problem;
  std::filesystem::create_directories(folder, problem);
  if (problem) return errno_error(problem.value(), "create " + folder.string());
  return {};
}

// True for a file that nobody wrote to for a day.
bool is_old(const std::filesystem::path& file) {
  std::error_code problem;
  const auto written = std::filesystem::last_write_time(file, problem);
  return !problem &&
         std::filesystem::file_time_type::clock::now() - written > std::chrono::hours(24);
}

Error not_held(const trust::Digest& digest) { return Error("no blob " + digest.to_text()); }

// Calls `use` with each chunk of `fd`, from its start.
template <typename Use>
Result<void> for_each_chunk(int fd, const std::string& name, Use use) {
  Bytes chunk(kChunkBytes);
  for (;;) {
    const ssize_t count = ::read(fd, chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error(errno, "read " + name);
    if (count == 0) return {};
    TRY(use(BytesView(chunk.data(), static_cast<std::size_t>(count))));
  }
}

}  // namespace

Result<BlobStore> BlobStore::open(const std::filesystem::path& root) {
  BlobStore store(root);
  TRY(make_folder(root / "blobs" / "sha256"));
  TRY(make_folder(root / "blobs" / "partial"));
  std::error_code ignored;
  if (!std::filesystem::exists(root / "oci-layout", ignored)) {
    TRY(write_file_durably(root / "oci-layout", as_bytes(kLayoutMark)));
  }
  return store;
}

std::filesystem::path BlobStore::path_of(const trust::Digest& digest) const {
  return root_ / "blobs" / "sha256" / digest.hex();
}

Result<void> BlobStore::make_executable(const trust::Digest& digest) const {
  if (::chmod(path_of(digest).c_str(), 0555) == 0) return {};
  return errno_error(errno, "chmod " + path_of(digest).string());
}

bool BlobStore::has(const trust::Digest& digest) const {
  return ::access(path_of(digest).c_str(), R_OK) == 0;
}

Result<std::uint64_t> BlobStore::size(const trust::Digest& digest) const {
  struct stat status {};
  if (::stat(path_of(digest).c_str(), &status) != 0) return not_held(digest);
  return static_cast<std::uint64_t>(status.st_size);
}

Result<BlobStore::OpenBlob> BlobStore::open_blob(const trust::Digest& digest) const {
  OpenBlob blob{UniqueFd(::open(path_of(digest).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)), 0};
  if (!blob.fd) return not_held(digest);
  struct stat status {};
  if (::fstat(blob.fd.get(), &status) != 0) return errno_error(errno, "stat " + digest.to_text());
  blob.size_bytes = static_cast<std::uint64_t>(status.st_size);
  return blob;
}

Result<Bytes> BlobStore::read(const trust::Digest& digest, std::size_t limit_bytes) const {
  if (!has(digest)) return not_held(digest);
  Bytes content = TRY(read_file(path_of(digest), limit_bytes));
  if (trust::sha256(content) != digest) {
    return Error("blob " + digest.to_text() + " has changed on the disk");
  }
  return content;
}

Result<void> BlobStore::verify(const trust::Digest& digest) const {
  const OpenBlob blob = TRY(open_blob(digest));
  trust::Sha256 hash;
  TRY(for_each_chunk(blob.fd.get(), path_of(digest).string(), [&](BytesView bytes) -> Result<void> {
    hash.update(bytes);
    return {};
  }));
  if (hash.finish() != digest) return Error("blob " + digest.to_text() + " is damaged");
  return {};
}

Result<trust::Digest> BlobStore::put(BytesView content) const {
  const trust::Digest digest = trust::sha256(content);
  if (!has(digest)) TRY(write_file_durably(path_of(digest), content, 0444));
  return digest;
}

Result<trust::Digest> BlobStore::put_file(const std::filesystem::path& file,
                                          std::uint64_t limit_bytes) const {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_error(errno, "open " + file.string());
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return errno_error(errno, "stat " + file.string());
  if (!S_ISREG(status.st_mode)) return Error(file.string() + " is not a regular file");
  const auto size_bytes = static_cast<std::uint64_t>(status.st_size);
  if (size_bytes > limit_bytes) {
    return errorf("%s has %llu bytes; at most %llu are allowed", file.c_str(),
                  static_cast<unsigned long long>(size_bytes),
                  static_cast<unsigned long long>(limit_bytes));
  }
  trust::Sha256 hash;
  TRY(for_each_chunk(fd.get(), file.string(), [&](BytesView bytes) -> Result<void> {
    hash.update(bytes);
    return {};
  }));
  const trust::Digest digest = hash.finish();
  auto writer = TRY(begin_unless_held(digest, size_bytes, kCopyPatience));
  if (!writer) return digest;
  // The digest is checked again by the writer: a file that changes meanwhile is refused.
  TRY(writer->restart());
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) return errno_error(errno, "seek " + file.string());
  TRY(for_each_chunk(fd.get(), file.string(),
                     [&](BytesView bytes) { return writer->write(bytes); }));
  TRY(writer->finish());
  return digest;
}

Result<BlobWriter> BlobStore::begin(const trust::Digest& digest, std::uint64_t size_bytes) const {
  return BlobWriter::open(root_ / "blobs" / "partial" / digest.hex(), path_of(digest), digest,
                          size_bytes);
}

Result<std::optional<BlobWriter>> BlobStore::begin_unless_held(const trust::Digest& digest,
                                                               std::uint64_t size_bytes,
                                                               std::chrono::milliseconds patience,
                                                               std::stop_token stop) const {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    if (has(digest)) return std::optional<BlobWriter>();
    auto writer = begin(digest, size_bytes);
    if (writer.ok()) return std::optional<BlobWriter>(std::move(*writer));
    if (stop.stop_requested() || std::chrono::steady_clock::now() > deadline) return writer.error();
    std::this_thread::sleep_for(kWriterPollInterval);
  }
}

Result<void> BlobStore::remove(const trust::Digest& digest) const {
  if (::unlink(path_of(digest).c_str()) == 0 || errno == ENOENT) return {};
  return errno_error(errno, "remove " + path_of(digest).string());
}

Result<std::size_t> BlobStore::remove_unreferenced(const std::set<trust::Digest>& kept) const {
  std::set<std::string> kept_names;
  for (const trust::Digest& digest : kept) kept_names.insert(digest.hex());
  std::size_t removed = 0;
  for (const char* folder : {"sha256", "partial"}) {
    std::error_code problem;
    for (std::filesystem::directory_iterator entry(root_ / "blobs" / folder, problem), end;
         !problem && entry != end; entry.increment(problem)) {
      const std::string name = entry->path().filename().string();
      if (kept_names.contains(name)) continue;
      if (std::string_view(folder) == "partial" && !is_old(entry->path())) continue;
      if (::unlink(entry->path().c_str()) == 0) ++removed;
    }
    if (problem) return errno_error(problem.value(), "list " + (root_ / "blobs").string());
  }
  return removed;
}

}  // namespace mutua::peer
