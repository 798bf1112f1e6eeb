#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mutua::resolver {

// nsswitch.conf(5) texts with and without the `mutua` source on the `hosts:` line. PURE.
//
// Installing inserts `mutua` before the source that asks DNS (`dns`, `resolve`), and before an
// `mdns…` source with a [NOTFOUND=return] behind it (for instance Debian's "mdns4_minimal
// [NOTFOUND=return]", which would end the lookup of a .local name of the federation, and costs
// others nothing). It never goes before `files`, `mymachines` or `myhostname`, whose names are this
// machine's own. "resolve [!UNAVAIL=return]" keeps its action. Where there is neither, `mutua` goes
// last. The rest of the text, comments and spacing included, stays as it is.
// A text that has `mutua` already is returned as it is. Without a `hosts:` line, or with two of
// them, there is nothing that could be edited safely: an error.
Result<std::string> with_mutua(std::string_view nsswitch);

// Takes out `mutua`, the blanks before it, and actions ([…]) behind it. with_mutua() is undone
// exactly. A text without `mutua` is returned as it is.
Result<std::string> without_mutua(std::string_view nsswitch);

// Edits the file as one step; its mode, owner and attributes stay. A symbolic link is followed. The
// file before the install is kept (replaced_file.h) and comes back with the uninstall, unless somebody
// has edited the text in between: then `mutua` is taken out of theirs. The return value says whether
// anything was to be done.
Result<bool> install_in(const std::filesystem::path& path);
Result<bool> uninstall_from(const std::filesystem::path& path);

}  // namespace mutua::resolver
