#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mutua::resolver {

// Files of the system that give way to one of ours and come back as they were: not a copy, but the
// former file itself (or symbolic link), with its times, owner and attributes, is kept beside it as
// `<path>.before-mutua`. Each function is one step (rename(2)) after which power may fail.

std::filesystem::path kept_name_of(const std::filesystem::path& path);

// Puts a regular file with `content` at `path`. It has mode, owner and extended attributes of the file
// that was there, behind symbolic links too; without one it belongs to root and everybody may read it.
// What was there is kept if nothing is kept yet.
Result<void> replace_and_keep(const std::filesystem::path& path, std::string_view content);

// The same, and nothing is kept.
Result<void> replace_in_place(const std::filesystem::path& path, std::string_view content);

// Puts back what is kept; where nothing is, there is no file at `path` after this.
Result<void> put_back(const std::filesystem::path& path);

// Removes what is kept, if anything is.
void forget_kept(const std::filesystem::path& path);

}  // namespace mutua::resolver
