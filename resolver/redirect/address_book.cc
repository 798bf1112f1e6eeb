#include "resolver/redirect/address_book.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/durable_file.h"

namespace mutua::resolver {
namespace {

constexpr std::size_t kLargestJournal = 16 << 20;
constexpr std::size_t kLongestName = 255;

// FNV-1a: the same on every machine and in every version of this program.
std::uint64_t hash_of(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char letter : name) hash = (hash ^ static_cast<std::uint8_t>(letter)) * 0x100000001b3u;
  return hash ^ (hash >> 29);
}

std::string line_of(const AddressBook::Entry& entry) {
  std::string line = entry.address.to_text() + " ";
  for (std::size_t i = 0; i < entry.ports.size(); ++i) {
    line += (i == 0 ? "" : ",") + to_text(entry.ports[i]);
  }
  return line + " " + entry.name + "\n";
}

}  // namespace

Result<AddressBook> AddressBook::open(Ipv4Range range, std::size_t limit,
                                      std::filesystem::path journal) {
  AddressBook book(range, limit, std::move(journal));
  if (std::filesystem::exists(book.journal_path_)) {
    const Bytes content = TRY(read_file(book.journal_path_, kLargestJournal));
    std::string_view text = as_text(content);
    for (std::size_t end; (end = text.find('\n')) != std::string_view::npos;
         text.remove_prefix(end + 1)) {
      book.load_line(text.substr(0, end));
    }
  }
  TRY(book.rewrite());
  return book;
}

void AddressBook::load_line(std::string_view line) {
  const auto first_blank = line.find(' ');
  const auto second_blank = line.find(' ', first_blank + 1);
  if (first_blank == std::string_view::npos || second_blank == std::string_view::npos) return;
  const auto parsed = SocketAddress::parse(line.substr(0, first_blank), 0);
  const auto address = parsed ? Ipv4::of(*parsed) : std::nullopt;
  const std::string name(line.substr(second_blank + 1));
  if (!address || !range_.contains(*address) || name.empty() || name.size() > kLongestName) return;
  std::vector<ServicePort> ports;
  for (auto rest = line.substr(first_blank + 1, second_blank - first_blank - 1); !rest.empty();) {
    const auto end = std::min(rest.find(','), rest.size());
    if (const auto port = parse_service_port(rest.substr(0, end))) ports.push_back(*port);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  const auto known = by_name_.find(name);
  if (known != by_name_.end()) {
    by_address_.erase(known->second->address);
    by_use_.erase(known->second);
    by_name_.erase(known);
  }
  if (by_address_.contains(*address) || by_name_.size() >= limit_) return;
  by_use_.push_front({name, *address, std::move(ports)});
  by_name_[name] = by_use_.begin();
  by_address_[*address] = by_use_.begin();
}

Result<void> AddressBook::rewrite() {
  std::string text;
  for (auto entry = by_use_.rbegin(); entry != by_use_.rend(); ++entry) text += line_of(*entry);
  TRY(write_file_durably(journal_path_, as_bytes(text), 0600));  // what people visit is theirs
  journal_.reset(::open(journal_path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!journal_) return errno_error(errno, "open " + journal_path_.string());
  journal_lines_ = by_use_.size();
  return {};
}

Result<void> AddressBook::append(const Entry& entry) {
  // Compacted when it is mostly repetition, so that it stays in proportion to the book.
  if (++journal_lines_ > 2 * limit_) return rewrite();
  const std::string line = line_of(entry);
  const auto written = write(journal_.get(), line.data(), line.size());
  if (written == static_cast<ssize_t>(line.size())) return {};
  return errno_error(written < 0 ? errno : ENOSPC, "write " + journal_path_.string());
}

const AddressBook::Entry* AddressBook::find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &*found->second;
}

const AddressBook::Entry* AddressBook::find(Ipv4 address) const {
  const auto found = by_address_.find(address);
  return found == by_address_.end() ? nullptr : &*found->second;
}

Ipv4 AddressBook::free_address_for(const std::string& name) const {
  // The first and the last address of the range look like network and broadcast: not given.
  const std::uint32_t usable = range_.size() - 2;
  auto slot = static_cast<std::uint32_t>(hash_of(name) % usable);
  while (by_address_.contains(Ipv4{range_.first.value + 1 + slot})) slot = (slot + 1) % usable;
  return Ipv4{range_.first.value + 1 + slot};
}

Result<AddressBook::Entry> AddressBook::insert(const std::string& name,
                                               const std::vector<ServicePort>& ports) {
  const auto known = by_name_.find(name);
  if (known != by_name_.end()) {
    by_use_.splice(by_use_.begin(), by_use_, known->second);
    Entry& entry = *known->second;
    if (entry.ports != ports) {
      entry.ports = ports;
      TRY(append(entry));
    }
    return entry;
  }
  if (by_name_.size() >= limit_) {
    return errorf("address for %s: all %zu names are in use", name.c_str(), limit_);
  }
  by_use_.push_front({name, free_address_for(name), ports});
  by_name_[name] = by_use_.begin();
  by_address_[by_use_.front().address] = by_use_.begin();
  TRY(append(by_use_.front()));
  return by_use_.front();
}

}  // namespace mutua::resolver
