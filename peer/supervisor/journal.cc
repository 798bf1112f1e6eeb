#include "peer/supervisor/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <system_error>

#include "base/durable_file.h"
#include "base/unique_fd.h"
#include "peer/directory/names.h"
#include "peer/snapshot/json_fields.h"

namespace mutua::peer {
namespace {

constexpr std::size_t kLargestEntryBytes = 64 * 1024;
constexpr std::size_t kMostChecks = 16;
constexpr std::uint64_t kLongestEvery = 24ULL * 3600 * 1000;

Bytes print_entry(const JournalEntry& entry) {
  boost::json::array checks;
  for (const std::string& check : entry.checks) checks.emplace_back(check);
  boost::json::object fields{{"version", 1},
                             {"service", entry.service},
                             {"role", entry.role == Role::owner ? "owner" : "host"},
                             {"runsHere", entry.runs_here ? "yes" : "no"},
                             {"admission", entry.admission},
                             {"checks", std::move(checks)},
                             {"everyMilliseconds", entry.every.count()}};
  if (entry.held) {
    fields["held"] = {{"manifest", entry.held->manifest.to_text()},
                      {"signatureManifest", entry.held->signature_manifest.to_text()},
                      {"signatureBlob", entry.held->signature_blob.to_text()}};
  }
  return to_bytes(std::string_view(boost::json::serialize(fields)));
}

Result<trust::Digest> digest_field(const boost::json::object& fields, std::string_view name) {
  const std::string text = TRY(text_field(fields, name));
  return trust::Digest::parse(text);
}

Result<JournalEntry> parse_entry(BytesView json) {
  const auto fields = TRY(parse_json_object(json, kLargestEntryBytes));
  if (TRY(number_field(fields, "version", 1000)) != 1) return Error("another version");
  JournalEntry entry;
  const std::string service = TRY(text_field(fields, "service"));
  entry.service = TRY(canonical_hostname(service));
  const std::string role = TRY(text_field(fields, "role"));
  if (role != "owner" && role != "host") return Error("field role: expected owner or host");
  entry.role = role == "owner" ? Role::owner : Role::host;
  entry.runs_here = TRY(text_field(fields, "runsHere")) == "yes";
  entry.admission = TRY(text_field(fields, "admission"));
  entry.checks = TRY(texts_field(fields, "checks", kMostChecks));
  entry.every =
      std::chrono::milliseconds(TRY(number_field(fields, "everyMilliseconds", kLongestEvery)));
  if (fields.contains("held")) {
    const auto held = TRY(object_field(fields, "held"));
    entry.held = JournalEntry::Held{TRY(digest_field(held, "manifest")),
                                    TRY(digest_field(held, "signatureManifest")),
                                    TRY(digest_field(held, "signatureBlob"))};
  }
  return entry;
}

}  // namespace

Result<Journal> Journal::open(const std::filesystem::path& folder) {
  std::error_code problem;
  std::filesystem::create_directories(folder, problem);
  if (problem) return errno_error(problem.value(), "create " + folder.string());
  return Journal(folder);
}

Result<std::vector<JournalEntry>> Journal::load() const {
  std::vector<JournalEntry> entries;
  std::error_code problem;
  for (std::filesystem::directory_iterator file(folder_, problem), end; !problem && file != end;
       file.increment(problem)) {
    // Temporary files of an interrupted write begin with a dot; hostnames never do.
    const std::string name = file->path().filename().string();
    if (name.starts_with('.') || !name.ends_with(".json")) continue;
    const Bytes content = TRY(read_file(file->path(), kLargestEntryBytes));
    auto entry = parse_entry(content);
    if (!entry.ok()) return entry.error().in("journal " + file->path().string());
    entries.push_back(std::move(*entry));
  }
  if (problem) return errno_error(problem.value(), "list " + folder_.string());
  return entries;
}

Result<void> Journal::put(const JournalEntry& entry) const {
  return write_file_durably(folder_ / (entry.service + ".json"), print_entry(entry), 0600);
}

Result<void> Journal::remove(const std::string& service) const {
  const auto path = folder_ / (service + ".json");
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return errno_error(errno, "remove " + path.string());
  }
  const UniqueFd folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) return errno_error(errno, "fsync " + folder_.string());
  return {};
}

}  // namespace mutua::peer
