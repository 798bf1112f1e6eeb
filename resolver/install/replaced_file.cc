#include "resolver/install/replaced_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <vector>

#include "base/bytes.h"
#include "base/unique_fd.h"

namespace mutua::resolver {
namespace {

constexpr std::size_t kLargestAttribute = 64 * 1024;  // the kernel's own limit

Result<void> sync_folder_of(const std::filesystem::path& path) {
  const auto folder = path.parent_path();
  const UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || fsync(fd.get()) != 0) return errno_error(errno, "sync " + folder.string());
  return {};
}

// Access lists and security labels are extended attributes, too.
Result<void> copy_attributes(int from, int to, const std::string& what) {
  std::vector<char> names(kLargestAttribute), value(kLargestAttribute);
  const auto size = flistxattr(from, names.data(), names.size());
  if (size < 0 && errno == ENOTSUP) return {};
  if (size < 0) return errno_error(errno, what);
  const std::string_view all(names.data(), static_cast<std::size_t>(size));
  for (std::size_t at = 0; at < all.size();) {
    const std::string name(all.substr(at, all.find('\0', at) - at));
    at += name.size() + 1;
    const auto length = fgetxattr(from, name.c_str(), value.data(), value.size());
    if (length < 0 ||
        fsetxattr(to, name.c_str(), value.data(), static_cast<std::size_t>(length), 0) != 0)
      return errno_error(errno, what + ": " + name);
  }
  return {};
}

// A new file in the same folder, not yet at `path`.
class NewFile {
 public:
  explicit NewFile(const std::filesystem::path& path)
      : name_((path.parent_path() / ("." + path.filename().string() + ".XXXXXX")).string()),
        fd_(mkostemp(name_.data(), O_CLOEXEC)) {}
  ~NewFile() {
    if (fd_) unlink(name_.c_str());
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  Result<void> write_like(const std::filesystem::path& former, std::string_view content,
                          const std::string& what) {
    if (!fd_) return errno_error(errno, what);
    const UniqueFd old(open(former.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status {};
    status.st_mode = 0644;
    if (old && fstat(old.get(), &status) != 0) return errno_error(errno, what);
    if (old && fchown(fd_.get(), status.st_uid, status.st_gid) != 0 && errno != EPERM)
      return errno_error(errno, what);
    if (fchmod(fd_.get(), status.st_mode & 07777) != 0) return errno_error(errno, what);
    if (old) TRY(copy_attributes(old.get(), fd_.get(), what));
    const auto written = write(fd_.get(), content.data(), content.size());
    if (written < 0 || static_cast<std::size_t>(written) != content.size() || fsync(fd_.get()) != 0)
      return errno_error(written < 0 ? errno : EIO, what);
    return {};
  }

  Result<void> move_to(const std::filesystem::path& path, const std::string& what) {
    if (rename(name_.c_str(), path.c_str()) != 0) return errno_error(errno, what);
    fd_.reset();
    return sync_folder_of(path);
  }

 private:
  std::string name_;
  UniqueFd fd_;
};

}  // namespace

std::filesystem::path kept_name_of(const std::filesystem::path& path) {
  return path.string() + ".before-mutua";
}

Result<void> replace_in_place(const std::filesystem::path& path, std::string_view content) {
  const std::string what = "replace " + path.string();
  NewFile file(path);
  TRY(file.write_like(path, content, what));
  return file.move_to(path, what);
}

Result<void> replace_and_keep(const std::filesystem::path& path, std::string_view content) {
  // A second name for what is there; a symbolic link gets one itself.
  if (linkat(AT_FDCWD, path.c_str(), AT_FDCWD, kept_name_of(path).c_str(), 0) != 0 &&
      errno != EEXIST && errno != ENOENT)
    return errno_error(errno, "keep " + path.string());
  return replace_in_place(path, content);
}

Result<void> put_back(const std::filesystem::path& path) {
  if (rename(kept_name_of(path).c_str(), path.c_str()) == 0) return sync_folder_of(path);
  if (errno != ENOENT) return errno_error(errno, "put back " + path.string());
  if (unlink(path.c_str()) != 0 && errno != ENOENT)
    return errno_error(errno, "remove " + path.string());
  return sync_folder_of(path);
}

void forget_kept(const std::filesystem::path& path) { unlink(kept_name_of(path).c_str()); }

}  // namespace mutua::resolver
