#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace mutua::resolver {

// The unit by which systemd runs mutua-resolver, whose programs are in `programs`. PURE.
std::string service_unit(const std::filesystem::path& programs);

// Places the unit in `<root>/etc/systemd/system` and enables it, that is, from the next boot on or
// `systemctl start`. A unit of that name that somebody has written, or edited, is left alone: an error.
// False: it was there.
Result<bool> install_unit(const std::filesystem::path& root, const std::filesystem::path& programs);
// Removes it, if it is as it was placed. False: there is none of ours.
Result<bool> uninstall_unit(const std::filesystem::path& root,
                            const std::filesystem::path& programs);

}  // namespace mutua::resolver
