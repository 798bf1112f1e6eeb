#pragma once

#include <cstdint>
#include <filesystem>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "resolver/choice/service_port.h"
#include "resolver/redirect/ipv4_pool.h"

namespace mutua::resolver {

// Gives each hostname one synthetic address and keeps it. The address follows from the name (a
// hash, the next free address on a collision), so that it is the same on every start; a journal
// beside the sockets remembers collisions and, for programs that hold an address across a restart
// of the daemon, which names were in use.
//
//   journal, one line for each name, the latest line of a name counts:
//   127.200.14.3 80/tcp,443/tcp blog.fed.example
//
// Bounded: when all `limit` names are taken, the longest unused one that may_forget() allows is
// forgotten. Used on one thread. Names are in lower case without the final dot.
class AddressBook {
 public:
  struct Entry {
    std::string name;
    Ipv4 address;
    std::vector<ServicePort> ports;
  };

  // Reads the journal where there is one and rewrites it compactly. Lines that make no sense, or
  // lie outside `range`, are dropped.
  static Result<AddressBook> open(Ipv4Range range, std::size_t limit,
                                  std::filesystem::path journal);

  // The entry of `name` with these ports; a new one where there was none.
  // Fails when the book is full of names that are in use, or the journal cannot be written.
  template <typename MayForget>
  Result<Entry> assign(const std::string& name, const std::vector<ServicePort>& ports,
                       MayForget may_forget) {
    if (!find(name) && by_name_.size() >= limit_) {
      auto oldest = by_use_.end();
      while (oldest != by_use_.begin()) {
        if (!may_forget((--oldest)->name)) continue;
        by_address_.erase(oldest->address);
        by_name_.erase(oldest->name);
        by_use_.erase(oldest);
        break;
      }
    }
    return insert(name, ports);
  }

  const Entry* find(const std::string& name) const;
  const Entry* find(Ipv4 address) const;
  // The latest used first.
  const std::list<Entry>& entries() const { return by_use_; }
  const Ipv4Range& range() const { return range_; }

 private:
  AddressBook(Ipv4Range range, std::size_t limit, std::filesystem::path journal)
      : range_(range), limit_(limit), journal_path_(std::move(journal)) {}
  Result<Entry> insert(const std::string& name, const std::vector<ServicePort>& ports);
  Ipv4 free_address_for(const std::string& name) const;
  void load_line(std::string_view line);
  Result<void> rewrite();
  Result<void> append(const Entry& entry);

  Ipv4Range range_;
  std::size_t limit_;
  std::filesystem::path journal_path_;
  UniqueFd journal_;
  std::size_t journal_lines_ = 0;
  std::list<Entry> by_use_;
  std::unordered_map<std::string, std::list<Entry>::iterator> by_name_;
  std::map<Ipv4, std::list<Entry>::iterator> by_address_;
};

}  // namespace mutua::resolver
