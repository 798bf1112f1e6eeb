#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/socket_address.h"

namespace mutua::resolver {

// A resolv.conf(5) that names the stub listener and nobody else, with everything but the nameservers of
// `former`. It begins with a line that says whose it is. PURE.
std::string resolv_conf_for(const SocketAddress& stub, std::string_view former);
bool is_our_resolv_conf(std::string_view text);

// Puts one at `path`, which may be absent, a file, or a symbolic link of systemd-resolved, resolvconf
// or NetworkManager: it gives way to a regular file and is kept (replaced_file.h), so that the daemon
// reads its own upstreams there. Where somebody has rewritten it since an earlier install, theirs is
// the one that is kept. False: it names that stub already.
// `stub` has port 53, the only one that the format knows.
Result<bool> install_stub_in(const std::filesystem::path& path, const SocketAddress& stub);

// Puts back what was there. A file that others have written since stays, as it is newer. False: ours
// was not there.
Result<bool> uninstall_stub_from(const std::filesystem::path& path);

// The file that names real nameservers: the one that is kept, otherwise `path` itself.
std::filesystem::path real_resolv_conf(const std::filesystem::path& path);

}  // namespace mutua::resolver
