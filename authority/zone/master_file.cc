#include "authority/zone/master_file.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/durable_file.h"
#include "wire/presentation.h"

namespace mutua::authority {
namespace {

using wire::Name;

// One entry of the file: a directive or a record, parentheses and comments taken away.
struct Entry {
  unsigned line = 0;                     // where it begins
  bool owner_omitted = false;            // it began with white space
  std::vector<std::string_view> tokens;  // quotes and escapes as they stand in the file
};

// Cuts a master file into entries.
class EntryReader {
 public:
  explicit EntryReader(std::string_view text) : text_(text) {}

  unsigned line() const { return line_; }

  // The next entry that has any token; no tokens at the end of the file.
  Result<Entry> next() {
    Entry entry;
    unsigned depth = 0;
    std::size_t start = at_;
    while (at_ < text_.size()) {
      if (at_ - start > kLargestMasterEntry) return Error("entry too long");
      if (entry.tokens.empty() && depth == 0 && at_ == line_start_) {
        entry.line = line_;
        entry.owner_omitted = text_[at_] == ' ' || text_[at_] == '\t';
        start = at_;
      }
      const char c = text_[at_];
      if (c == '\n') {
        ++line_;
        line_start_ = ++at_;
        if (depth == 0 && !entry.tokens.empty()) return entry;
      } else if (c == ' ' || c == '\t' || c == '\r') {
        ++at_;
      } else if (c == ';') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (c == '(') {
        if (depth++ != 0) return Error("'(' inside parentheses");
        ++at_;
      } else if (c == ')') {
        if (depth-- == 0) return Error("')' without '('");
        ++at_;
      } else {
        entry.tokens.push_back(TRY(token()));
      }
    }
    if (depth != 0) return Error("'(' is never closed");
    return entry;
  }

 private:
  Result<std::string_view> token() {
    const std::size_t start = at_;
    bool quoted = false;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\\') {
        if (++at_ == text_.size() || text_[at_] == '\n') return Error("'\\' at the end of a line");
      } else if (c == '"') {
        quoted = !quoted;
      } else if (c == '\n' && quoted) {
        return Error("'\"' is never closed");
      } else if (c == '\0') {
        return Error("a NUL octet");
      } else if (!quoted && std::string_view(" \t\r\n;()").find(c) != std::string_view::npos) {
        break;
      }
    }
    if (quoted) return Error("'\"' is never closed");
    return text_.substr(start, at_ - start);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_start_ = 0;
  unsigned line_ = 1;
};

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

// "3600", "1h", "1h30m"; at most 2^31-1 (RFC 2181 section 8). Nothing where it is no TTL.
std::optional<std::uint32_t> parse_ttl(std::string_view text) {
  std::uint64_t total = 0;
  while (!text.empty()) {
    std::uint32_t number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (problem != std::errc{}) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    std::uint64_t unit = 1;
    if (!text.empty()) {
      const auto at = std::string_view("smhdwSMHDW").find(text.front());
      if (at == std::string_view::npos) return std::nullopt;
      constexpr std::uint64_t kUnits[] = {1, 60, 3600, 86400, 604800};
      unit = kUnits[at % 5];
      text.remove_prefix(1);
    }
    total += number * unit;
    if (total > 0x7FFFFFFF) return std::nullopt;
  }
  return static_cast<std::uint32_t>(total);
}

bool ends_in_dot(std::string_view text) {
  if (!text.ends_with('.')) return false;
  std::size_t backslashes = 0;
  while (backslashes + 1 < text.size() && text[text.size() - 2 - backslashes] == '\\')
    ++backslashes;
  return backslashes % 2 == 0;
}

Result<Name> absolute_name(std::string_view text, const Name& origin) {
  if (text == "@") return origin;
  const Name name = TRY(Name::parse(text));
  if (ends_in_dot(text)) return name;
  return name.under(origin);
}

// Collects the records of a file, with what carries over from one to the next.
class RecordReader {
 public:
  explicit RecordReader(const Name& origin) : origin_(origin) {}

  Result<void> take(const Entry& entry) {
    if (entry.tokens.front().starts_with('$') && !entry.owner_omitted) return directive(entry);
    std::size_t at = 0;
    if (!entry.owner_omitted) owner_ = TRY(absolute_name(entry.tokens[at++], origin_));
    if (!owner_) return Error("the first record has no owner");
    std::optional<std::uint32_t> ttl;
    const std::string_view type = TRY(skip_to_type(entry, at, ttl));
    if (!wire::rrtype_from_text(type)) return Error("unknown type: " + std::string(type));

    std::string line = owner_->to_text() + " " + std::to_string(ttl.value_or(0)) + " IN";
    for (std::size_t i = at; i < entry.tokens.size(); ++i) line.append(" ").append(entry.tokens[i]);
    wire::Record record = TRY(wire::record_from_text(line, 0, origin_));
    if (wire::is_meta(record.type)) return Error("no type for a zone: " + std::string(type));
    record.ttl = TRY(resolve_ttl(ttl, record));
    return add(std::move(record));
  }

  std::vector<OwnedRRset> finish() {
    std::vector<OwnedRRset> rrsets;
    for (auto& [owner, by_type] : rrsets_)
      for (auto& [type, rrset] : by_type) rrsets.push_back({owner, std::move(rrset)});
    return rrsets;
  }

 private:
  Result<void> directive(const Entry& entry) {
    const std::string_view name = entry.tokens.front();
    if (equal_ignoring_case(name, "$INCLUDE")) return Error("$INCLUDE is not allowed");
    if (entry.tokens.size() != 2) return Error(std::string(name) + " takes one value");
    const std::string_view value = entry.tokens[1];
    if (equal_ignoring_case(name, "$ORIGIN")) {
      origin_ = TRY(absolute_name(value, origin_));
      return {};
    }
    if (equal_ignoring_case(name, "$TTL")) {
      default_ttl_ = parse_ttl(value);
      if (!default_ttl_) return Error("not a TTL: " + std::string(value));
      return {};
    }
    return Error("unknown directive: " + std::string(name));
  }

  // TTL and class, in either order, each at most once; moves `at` to the type and returns it.
  static Result<std::string_view> skip_to_type(const Entry& entry, std::size_t& at,
                                               std::optional<std::uint32_t>& ttl) {
    bool class_seen = false;
    for (; at < entry.tokens.size(); ++at) {
      const std::string_view token = entry.tokens[at];
      if (!ttl && !token.empty() && token.front() >= '0' && token.front() <= '9') {
        ttl = parse_ttl(token);
        if (!ttl) return Error("not a TTL: " + std::string(token));
      } else if (!class_seen &&
                 (equal_ignoring_case(token, "IN") || equal_ignoring_case(token, "CLASS1"))) {
        class_seen = true;
      } else if (equal_ignoring_case(token, "CH") || equal_ignoring_case(token, "HS") ||
                 equal_ignoring_case(token, "CS") ||
                 (token.size() > 5 && equal_ignoring_case(token.substr(0, 5), "CLASS"))) {
        return Error("class " + std::string(token) + " is not served here");
      } else {
        return token;
      }
    }
    return Error("a record without a type");
  }

  // RFC 2308 section 4: $TTL where the record says nothing; before the first $TTL the TTL of the
  // record before (RFC 1035 section 5.1), and for a SOA without any its MINIMUM.
  Result<std::uint32_t> resolve_ttl(std::optional<std::uint32_t> stated,
                                    const wire::Record& record) {
    std::optional<std::uint32_t> ttl = stated ? stated : default_ttl_ ? default_ttl_ : last_ttl_;
    if (!ttl && record.type == wire::RRType::soa && record.rdata.size() >= 4)
      ttl = load_u32(record.rdata.data() + record.rdata.size() - 4);
    if (!ttl) return Error("no TTL, and no $TTL before");
    last_ttl_ = ttl;
    return *ttl;
  }

  Result<void> add(wire::Record record) {
    RRset& rrset = rrsets_[record.owner][record.type];
    rrset.ttl = rrset.rdatas.empty() ? record.ttl : std::min(rrset.ttl, record.ttl);
    rrset.type = record.type;
    rrset.rdatas.push_back(std::move(record.rdata));
    return {};
  }

  Name origin_;
  std::optional<Name> owner_;
  std::optional<std::uint32_t> default_ttl_, last_ttl_;
  std::unordered_map<Name, std::map<wire::RRType, RRset>> rrsets_;
};

}  // namespace

Result<std::vector<OwnedRRset>> parse_master_file(std::string_view text,
                                                  const std::string& file_name,
                                                  const Name& origin) {
  EntryReader entries(text);
  RecordReader records(origin);
  while (true) {
    const Result<Entry> entry = entries.next();
    if (!entry) return entry.error().in(file_name + ":" + std::to_string(entries.line()));
    if (entry->tokens.empty()) return records.finish();
    const Result<void> taken = records.take(*entry);
    if (!taken) return taken.error().in(file_name + ":" + std::to_string(entry->line));
  }
}

Result<std::vector<OwnedRRset>> load_master_file(const std::filesystem::path& path,
                                                 const Name& origin) {
  const Bytes content = TRY(read_file(path, kLargestMasterFile));
  return parse_master_file(as_text(content), path.string(), origin);
}

}  // namespace mutua::authority
