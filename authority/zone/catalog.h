#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "authority/zone/zone_version.h"

namespace mutua::authority {

// Owns the published versions of the zone and hands the newest one to readers.
//
// Two ways to read. Any thread: current(), a shared_ptr under a mutex held for an instant. The
// threads that answer queries: a Reader each, which pins a version for one batch of queries with
// two plain stores to a cache line of its own and never waits. A superseded version is let go of in
// the first reclaim() after every Reader has unpinned since (epoch-based reclamation).
class Catalog {
  struct alignas(64) ReaderSlot {
    std::atomic<std::uint64_t> pinned_epoch{0};  // 0: not reading
  };

 public:
  explicit Catalog(std::shared_ptr<const ZoneVersion> first);
  ~Catalog();  // after all Readers
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;

  // The newest version. Any thread.
  std::shared_ptr<const ZoneVersion> current() const;

  // Makes `next` the newest version: every pin() and current() that begins after publish() returns
  // sees it. One thread at a time (the writer).
  void publish(std::shared_ptr<const ZoneVersion> next);
  // Lets go of superseded versions that nobody reads. A version may own thousands of answers alone,
  // so this is for when nobody waits; whoever publishes calls it soon after.
  void reclaim();

  // Versions that are superseded but not yet let go of.
  std::size_t retired_count() const;

  class Reader;

  // Holds a version alive. Belongs to the thread that made it, which must not wait for anything
  // meanwhile: until it ends, superseded versions pile up.
  class Pin {
   public:
    ~Pin() { slot_.pinned_epoch.store(0, std::memory_order_release); }
    Pin(const Pin&) = delete;
    Pin& operator=(const Pin&) = delete;
    const ZoneVersion& operator*() const { return *version_; }
    const ZoneVersion* operator->() const { return version_; }

   private:
    friend class Reader;
    Pin(ReaderSlot& slot, const ZoneVersion* version) : slot_(slot), version_(version) {}
    ReaderSlot& slot_;
    const ZoneVersion* version_;
  };

  // One reading thread's place in the catalog. Not thread-safe; ends before the catalog does.
  class Reader {
   public:
    explicit Reader(Catalog& catalog);
    ~Reader();
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    // The newest version, until the Pin ends. One Pin at a time.
    Pin pin();

   private:
    Catalog& catalog_;
    ReaderSlot& slot_;
  };

 private:
  struct Retired {
    std::shared_ptr<const ZoneVersion> version;
    std::uint64_t epoch;  // the first in which no reader can find it any more
  };

  ReaderSlot& add_reader();
  void remove_reader(const ReaderSlot& slot);
  std::vector<std::shared_ptr<const ZoneVersion>> take_reclaimable();

  std::atomic<const ZoneVersion*> newest_;
  std::atomic<std::uint64_t> epoch_{1};

  mutable std::mutex mutex_;  // guards all below
  std::shared_ptr<const ZoneVersion> owner_of_newest_;
  std::vector<Retired> retired_;
  std::list<ReaderSlot> slots_;
};

}  // namespace mutua::authority
