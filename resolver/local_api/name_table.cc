#include "resolver/local_api/name_table.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <random>

#include "local_protocol/name_table.h"
#include "resolver/service/names.h"

namespace mutua::resolver {
namespace {

constexpr std::chrono::milliseconds kSayEvery{1000};
constexpr std::chrono::nanoseconds kAliveFor = std::chrono::seconds(5);

// The readers' clock. (steady_clock is CLOCK_MONOTONIC too, but does not promise to be.)
std::uint64_t monotonic_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(now.tv_nsec);
}

std::uint64_t after(std::chrono::nanoseconds time) {
  return monotonic_now() + static_cast<std::uint64_t>(time.count());
}

// Releasing stores keep their order, which a sequence lock asks of its writer.
template <typename Word>
void store(Word& word, Word value) {
  __atomic_store_n(&word, value, __ATOMIC_RELEASE);
}

template <typename Word>
Word load(const Word& word) {
  return __atomic_load_n(&word, __ATOMIC_RELAXED);
}

}  // namespace

Result<std::unique_ptr<NameTable>> NameTable::create(const Settings& settings, EventLoop& loop) {
  UniqueFd memory(memfd_create("mutua-names", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory || ftruncate(memory.get(), sizeof(mutua_table)) != 0)
    return errno_error(errno, "share the table of names");
  void* mapped =
      mmap(nullptr, sizeof(mutua_table), PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (mapped == MAP_FAILED) return errno_error(errno, "map the table of names");
  auto* table = static_cast<mutua_table*>(mapped);
  std::unique_ptr<NameTable> made(new NameTable(std::move(memory), table, loop));
  constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
  if (fcntl(made->memory_.get(), F_ADD_SEALS, kSeals) != 0)
    return errno_error(errno, "seal the table of names");

  auto& header = table->header;
  std::random_device random;
  header.identity = std::uint64_t{random()} << 32 | random() | 1u;  // 0 stands for no table
  header.seed = std::uint64_t{random()} << 32 | random();
  const std::string zone = key_of(settings.zone);
  if (zone.size() <= MUTUA_TABLE_NAME_MAX) {
    header.zone_length = static_cast<std::uint32_t>(zone.size());
    std::memcpy(header.zone, zone.data(), zone.size());
  }
  if (settings.lookaside != Lookaside::no || settings.zone.is_root())
    header.flags |= MUTUA_TABLE_ALL_NAMES;
  if (settings.ipv6) {
    header.flags |= MUTUA_TABLE_HAS_IPV6;
    std::copy(settings.ipv6->octets.begin(), settings.ipv6->octets.end(), header.ipv6_prefix);
  }
  store(header.magic, std::uint32_t{MUTUA_TABLE_MAGIC});
  made->stay_alive();
  return made;
}

NameTable::NameTable(UniqueFd memory, mutua_table* table, EventLoop& loop)
    : memory_(std::move(memory)), table_(table), loop_(loop) {}

NameTable::~NameTable() {
  loop_.cancel(timer_);
  store(table_->header.alive_until, std::uint64_t{0});
  munmap(table_, sizeof *table_);
}

void NameTable::stay_alive() {
  store(table_->header.alive_until, after(kAliveFor));
  timer_ = loop_.after(kSayEvery, [this] { stay_alive(); });
}

std::uint64_t NameTable::identity() const { return table_->header.identity; }

std::optional<std::size_t> NameTable::find(const std::string& name, std::uint64_t hash) const {
  const std::size_t bucket = mutua_table_bucket(hash);
  for (std::size_t way = 0; way < MUTUA_TABLE_WAYS; ++way) {
    if (load(table_->names[bucket][way]) != mutua_table_tag(hash)) continue;
    const std::size_t slot = bucket * MUTUA_TABLE_WAYS + way;
    const std::uint64_t* words = table_->slots[slot];
    if (words[2] >> 32 == name.size() &&
        std::memcmp(words + MUTUA_TABLE_NAME_WORD, name.data(), name.size()) == 0)
      return slot;
  }
  return std::nullopt;
}

void NameTable::clear_slot(std::size_t slot) {
  std::uint64_t* words = table_->slots[slot];
  const Ipv4 address{static_cast<std::uint32_t>(words[2])};
  auto& references =
      table_->addresses[mutua_table_address_bucket(table_->header.seed, address.value)];
  for (std::uint32_t& reference : references) {
    if (load(reference) == slot + 1) store(reference, std::uint32_t{0});
  }
  store(table_->names[slot / MUTUA_TABLE_WAYS][slot % MUTUA_TABLE_WAYS], std::uint32_t{0});
  store(words[1], std::uint64_t{0});
}

// Where the bucket is full the address stays out of the table: it is asked for.
void NameTable::set_address(Ipv4 address, std::size_t slot) {
  auto& references =
      table_->addresses[mutua_table_address_bucket(table_->header.seed, address.value)];
  const auto wanted = static_cast<std::uint32_t>(slot + 1);
  if (std::find(std::begin(references), std::end(references), wanted) != std::end(references))
    return;
  const auto free = std::find(std::begin(references), std::end(references), 0u);
  if (free != std::end(references)) store(*free, wanted);
}

void NameTable::publish(const std::string& name, Ipv4 address, std::chrono::seconds ttl) {
  if (name.empty() || name.size() > MUTUA_TABLE_NAME_MAX) return;
  const std::uint64_t hash = mutua_table_hash(table_->header.seed, name.data(), name.size());
  const std::size_t first = mutua_table_bucket(hash) * MUTUA_TABLE_WAYS;
  std::size_t slot = first;
  if (const auto known = find(name, hash)) {
    slot = *known;
    // Readers may not see a new address under the old one's index, nor the other way round.
    if (static_cast<std::uint32_t>(table_->slots[slot][2]) != address.value) clear_slot(slot);
  } else {
    for (std::size_t one = first; one < first + MUTUA_TABLE_WAYS; ++one) {
      if (table_->slots[one][1] < table_->slots[slot][1]) slot = one;  // an empty one ends at 0
    }
    clear_slot(slot);
  }
  std::uint64_t* words = table_->slots[slot];
  store(words[0], words[0] | 1u);
  store(words[1], after(ttl));
  store(words[2], std::uint64_t{address.value} | std::uint64_t{name.size()} << 32);
  for (std::size_t offset = 0; offset < name.size(); offset += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, name.data() + offset, std::min(sizeof word, name.size() - offset));
    store(words[MUTUA_TABLE_NAME_WORD + offset / sizeof word], word);
  }
  store(words[0], words[0] + 1);
  store(table_->names[slot / MUTUA_TABLE_WAYS][slot % MUTUA_TABLE_WAYS], mutua_table_tag(hash));
  set_address(address, slot);
}

void NameTable::withdraw(const std::string& name) {
  const std::uint64_t hash = mutua_table_hash(table_->header.seed, name.data(), name.size());
  if (const auto slot = find(name, hash)) clear_slot(*slot);
}

}  // namespace mutua::resolver
