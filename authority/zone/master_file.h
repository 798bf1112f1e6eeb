#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "authority/zone/rrset.h"
#include "base/result.h"
#include "wire/name.h"

namespace mutua::authority {

constexpr std::size_t kLargestMasterFile = std::size_t{1} << 30;  // octets
constexpr std::size_t kLargestMasterEntry = 256 * 1024;           // octets of one record's text

// Reads a master file (RFC 1035 section 5, RFC 2308 section 4): $ORIGIN and $TTL, parentheses,
// quoted strings, comments, relative names, '@', owner, TTL and class taken over from the record
// before. TTLs may have units (1h30m). Class IN only; $INCLUDE and other directives are refused.
// The records of one RRset get the smallest of their TTLs (RFC 2181 section 5.2).
// Errors name file and line: "example.zone:7: unknown type: FOO".
Result<std::vector<OwnedRRset>> parse_master_file(std::string_view text,
                                                  const std::string& file_name,
                                                  const wire::Name& origin);
Result<std::vector<OwnedRRset>> load_master_file(const std::filesystem::path& path,
                                                 const wire::Name& origin);

}  // namespace mutua::authority
