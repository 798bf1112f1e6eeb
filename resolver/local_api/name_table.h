#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "base/unique_fd.h"
#include "resolver/discovery/discovery.h"
#include "resolver/event_loop/event_loop.h"
#include "resolver/redirect/ipv6_prefix.h"
#include "resolver/service/name_publisher.h"

struct mutua_table;

namespace mutua::resolver {

// The table of names in shared memory that libnss_mutua.so.2 reads
// (lib/local_protocol/name_table.h), the one writer of it. It says every second that it is alive;
// readers leave it alone five seconds after the last word, or at once when it ended in good order.
// Where a bucket is full the name that ends first makes room: a name that is not in the table is
// merely asked for. Lives on the loop's thread.
class NameTable final : public NamePublisher {
 public:
  struct Settings {
    wire::Name zone;
    Lookaside lookaside = Lookaside::no;
    std::optional<Ipv6Prefix> ipv6;
  };

  // `loop` outlives the table.
  static Result<std::unique_ptr<NameTable>> create(const Settings& settings, EventLoop& loop);
  ~NameTable() override;

  void publish(const std::string& name, Ipv4 address, std::chrono::seconds ttl) override;
  void withdraw(const std::string& name) override;

  // What readers are handed: it can be mapped, not written.
  int descriptor() const { return memory_.get(); }
  std::uint64_t identity() const;

 private:
  NameTable(UniqueFd memory, mutua_table* table, EventLoop& loop);
  void stay_alive();
  std::optional<std::size_t> find(const std::string& name, std::uint64_t hash) const;
  void clear_slot(std::size_t slot);
  void set_address(Ipv4 address, std::size_t slot);

  const UniqueFd memory_;
  mutua_table* const table_;  // shared with every reader: through atomic words only
  EventLoop& loop_;
  EventLoop::TimerKey timer_{};
};

}  // namespace mutua::resolver
