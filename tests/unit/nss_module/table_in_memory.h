#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "base/assert.h"
#include "base/unique_fd.h"
#include "local_protocol/name_table.h"

namespace mutua {

inline constexpr std::uint64_t kSecond = 1'000'000'000;

inline std::uint64_t monotonic_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * kSecond + static_cast<std::uint64_t>(now.tv_nsec);
}

// A table of names written from its drawing, so that the reader has a witness besides the
// resolver's own writer. It says that it is alive until it is destroyed.
class TableInMemory {
 public:
  explicit TableInMemory(std::uint64_t identity, int seals = F_SEAL_SHRINK | F_SEAL_GROW,
                         std::size_t size = sizeof(mutua_table))
      : memory_(memfd_create("test-table", MFD_CLOEXEC | MFD_ALLOW_SEALING)) {
    BASE_ASSERT(ftruncate(memory_.get(), static_cast<off_t>(size)) == 0);
    void* mapped =
        mmap(nullptr, sizeof(mutua_table), PROT_READ | PROT_WRITE, MAP_SHARED, memory_.get(), 0);
    BASE_ASSERT(mapped != MAP_FAILED);
    BASE_ASSERT(fcntl(memory_.get(), F_ADD_SEALS, seals) == 0);
    table_ = static_cast<mutua_table*>(mapped);
    if (size < sizeof(mutua_table)) return;  // to be refused unread
    table_->header.magic = MUTUA_TABLE_MAGIC;
    table_->header.identity = identity;
    table_->header.seed = identity * 0x9e3779b97f4a7c15u;
    set_zone("fed.example");
    __atomic_store_n(&table_->header.alive_until, monotonic_now() + 1000 * kSecond,
                     __ATOMIC_RELEASE);
    whole_ = true;
  }
  ~TableInMemory() {
    if (whole_) retire();
    munmap(table_, sizeof *table_);
  }
  TableInMemory(const TableInMemory&) = delete;
  TableInMemory& operator=(const TableInMemory&) = delete;

  void retire() { __atomic_store_n(&table_->header.alive_until, 0, __ATOMIC_RELEASE); }
  void set_zone(const std::string& zone) {
    table_->header.zone_length = static_cast<std::uint32_t>(zone.size());
    std::memcpy(table_->header.zone, zone.data(), zone.size());
  }

  // Puts a name in the first way of its bucket; gives its slot.
  std::size_t put(const std::string& name, std::uint32_t ipv4,
                  std::uint64_t valid_for = 60 * kSecond) {
    const std::uint64_t hash = mutua_table_hash(table_->header.seed, name.data(), name.size());
    const std::size_t slot = mutua_table_bucket(hash) * MUTUA_TABLE_WAYS;
    std::uint64_t* words = table_->slots[slot];
    words[1] = monotonic_now() + valid_for;
    words[2] = ipv4 | static_cast<std::uint64_t>(name.size()) << 32;
    std::memcpy(words + MUTUA_TABLE_NAME_WORD, name.data(), name.size());
    table_->names[slot / MUTUA_TABLE_WAYS][0] = mutua_table_tag(hash);
    table_->addresses[mutua_table_address_bucket(table_->header.seed, ipv4)][0] =
        static_cast<std::uint32_t>(slot + 1);
    return slot;
  }

  int descriptor() const { return memory_.get(); }
  mutua_table& operator*() { return *table_; }
  mutua_table* operator->() { return table_; }

 private:
  UniqueFd memory_;
  mutua_table* table_ = nullptr;
  bool whole_ = false;
};

}  // namespace mutua
