#include "resolver/install/nsswitch.h"

#include <optional>
#include <vector>

#include "base/durable_file.h"
#include "resolver/install/replaced_file.h"

namespace mutua::resolver {
namespace {

constexpr std::string_view kSource = "mutua";
constexpr std::string_view kBlanks = " \t";
constexpr std::size_t kLargestFile = 256 * 1024;

// A word of the `hosts:` line: a source, or an action in brackets (which may contain blanks).
struct Word {
  std::size_t begin = 0, end = 0;  // in the whole text
  std::string_view text;
  bool is_action() const { return text.front() == '['; }
};

struct HostsLine {
  std::vector<Word> words;
  std::size_t end = 0;  // behind the last word, before a comment or the line's end
};

std::vector<Word> words_between(std::string_view text, std::size_t at, std::size_t end) {
  std::vector<Word> words;
  while ((at = text.find_first_not_of(kBlanks, at)) < end) {
    std::size_t word_end = at;
    if (text[at] == '[') {
      word_end = std::min(text.find(']', at), end - 1) + 1;
    } else {
      word_end = std::min(text.find_first_of(" \t[", at), end);
    }
    words.push_back({at, word_end, text.substr(at, word_end - at)});
    at = word_end;
  }
  return words;
}

Result<HostsLine> find_hosts(std::string_view text) {
  std::optional<HostsLine> found;
  for (std::size_t line = 0; line < text.size();) {
    const std::size_t line_end = std::min(text.find('\n', line), text.size());
    std::size_t content_end = std::min(text.find('#', line), line_end);
    if (content_end > line && text[content_end - 1] == '\r') --content_end;
    const std::size_t key = text.find_first_not_of(kBlanks, line);
    constexpr std::string_view name = "hosts:";
    if (key < content_end && text.substr(key, name.size()) == name) {
      if (found) return Error("nsswitch.conf: two hosts: lines");
      found.emplace();
      found->words = words_between(text, key + name.size(), content_end);
      found->end = found->words.empty() ? key + name.size() : found->words.back().end;
    }
    line = line_end + 1;
  }
  if (!found) return Error("nsswitch.conf: no hosts: line");
  return std::move(*found);
}

bool returns_when_not_found(std::string_view action) {
  std::string lower;
  for (const char letter : action)
    lower += static_cast<char>(letter >= 'A' && letter <= 'Z' ? letter + 32 : letter);
  return lower.find("notfound=return") != std::string::npos;
}

// The word that `mutua` goes before; nothing: it goes last.
std::optional<std::size_t> word_to_precede(const std::vector<Word>& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view text = words[i].text;
    if (text == "dns" || text == "resolve") return i;
    const bool ends_lookups = i + 1 < words.size() && words[i + 1].is_action() &&
                              returns_when_not_found(words[i + 1].text);
    if (text.starts_with("mdns") && ends_lookups) return i;
  }
  return std::nullopt;
}

std::optional<std::size_t> word_of_mutua(const std::vector<Word>& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i].text == kSource) return i;
  }
  return std::nullopt;
}

Result<std::filesystem::path> behind_links(const std::filesystem::path& path) {
  std::error_code problem;
  auto real = std::filesystem::canonical(path, problem);
  if (problem) return Error("open " + path.string() + ": " + problem.message());
  return real;
}

}  // namespace

Result<std::string> with_mutua(std::string_view nsswitch) {
  const HostsLine hosts = TRY(find_hosts(nsswitch));
  std::string text(nsswitch);
  if (word_of_mutua(hosts.words)) return text;
  if (const auto next = word_to_precede(hosts.words)) {
    text.insert(hosts.words[*next].begin, std::string(kSource) + " ");
  } else {
    text.insert(hosts.end, " " + std::string(kSource));
  }
  return text;
}

Result<std::string> without_mutua(std::string_view nsswitch) {
  const HostsLine hosts = TRY(find_hosts(nsswitch));
  std::string text(nsswitch);
  const auto place = word_of_mutua(hosts.words);
  if (!place) return text;
  std::size_t last = *place;
  while (last + 1 < hosts.words.size() && hosts.words[last + 1].is_action()) ++last;
  if (last + 1 < hosts.words.size()) {
    // Up to the next word: what stood before `mutua` stands before that one again.
    text.erase(hosts.words[*place].begin, hosts.words[last + 1].begin - hosts.words[*place].begin);
  } else {
    const std::size_t begin =
        *place > 0 ? hosts.words[*place - 1].end
                   : nsswitch.find_last_not_of(kBlanks, hosts.words[0].begin - 1) + 1;
    text.erase(begin, hosts.words[last].end - begin);
  }
  return text;
}

Result<bool> install_in(const std::filesystem::path& path) {
  const auto file = TRY(behind_links(path));
  const Bytes before = TRY(read_file(file, kLargestFile));
  const std::string after = TRY(with_mutua(as_text(before)));
  if (after == as_text(before)) return false;
  forget_kept(file);  // of an install that somebody has undone by hand
  TRY(replace_and_keep(file, after));
  return true;
}

Result<bool> uninstall_from(const std::filesystem::path& path) {
  const auto file = TRY(behind_links(path));
  const Bytes before = TRY(read_file(file, kLargestFile));
  const std::string after = TRY(without_mutua(as_text(before)));
  const auto kept = read_file(kept_name_of(file), kLargestFile);
  if (kept && as_text(*kept) == after && after != as_text(before)) {
    TRY(put_back(file));
    return true;
  }
  if (after != as_text(before)) TRY(replace_in_place(file, after));
  forget_kept(file);
  return after != as_text(before);
}

}  // namespace mutua::resolver
