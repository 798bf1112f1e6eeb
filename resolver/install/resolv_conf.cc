#include "resolver/install/resolv_conf.h"

#include <sys/stat.h>

#include "base/durable_file.h"
#include "resolver/install/replaced_file.h"

namespace mutua::resolver {
namespace {

constexpr std::string_view kOurs =
    "# Written by `mutua resolver install`, which `mutua resolver uninstall` undoes.\n";
constexpr std::size_t kLargestFile = 64 * 1024;

// Empty where there is none, or a link that leads nowhere (before the network is up).
std::string text_of(const std::filesystem::path& path) {
  const auto content = read_file(path, kLargestFile);
  return content ? std::string(as_text(*content)) : std::string();
}

bool is_there(const std::filesystem::path& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0;
}

}  // namespace

bool is_our_resolv_conf(std::string_view text) { return text.starts_with(kOurs); }

std::string resolv_conf_for(const SocketAddress& stub, std::string_view former) {
  std::string text(kOurs);
  text += "nameserver " + stub.address_to_text() + "\n";
  while (!former.empty()) {
    const auto end = std::min(former.find('\n'), former.size());
    const std::string_view line = former.substr(0, end);
    former.remove_prefix(std::min(end + 1, former.size()));
    if (!line.starts_with("nameserver")) text.append(line).append("\n");
  }
  return text;
}

Result<bool> install_stub_in(const std::filesystem::path& path, const SocketAddress& stub) {
  if (stub.port() != 53) return Error("resolv.conf: a nameserver is at port 53");
  const std::string present = text_of(path);
  const bool ours = is_our_resolv_conf(present);
  if (!ours) forget_kept(path);
  const std::string wanted = resolv_conf_for(stub, ours ? text_of(kept_name_of(path)) : present);
  if (present == wanted) return false;
  if (ours) {
    TRY(replace_in_place(path, wanted));
  } else {
    TRY(replace_and_keep(path, wanted));
  }
  return true;
}

Result<bool> uninstall_stub_from(const std::filesystem::path& path) {
  if (is_our_resolv_conf(text_of(path))) {
    TRY(put_back(path));
    return true;
  }
  forget_kept(path);
  return false;
}

std::filesystem::path real_resolv_conf(const std::filesystem::path& path) {
  const auto kept = kept_name_of(path);
  return is_there(kept) && is_our_resolv_conf(text_of(path)) ? kept : path;
}

}  // namespace mutua::resolver
