#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "authority/zone/rrset.h"
#include "base/bytes.h"
#include "wire/types.h"

namespace mutua::authority {

// The records of one RRset where they stand: in an RRset, or as records of wire format, one behind
// the other, whose owners are pointers of two octets. RDATA is uncompressed in both. A view.
class RRsetView {
 public:
  static constexpr std::size_t kRdlengthAt = 10;  // within a record whose owner is a pointer
  static constexpr std::size_t kRdataAt = kRdlengthAt + 2;

  RRsetView(const RRset& rrset)
      : type_(rrset.type),
        ttl_(rrset.ttl),
        begin_{rrset.rdatas.data(), nullptr},
        end_{rrset.rdatas.data() + rrset.rdatas.size(), nullptr} {}
  RRsetView(RRset&&) = delete;
  RRsetView(wire::RRType type, BytesView records)
      : type_(type),
        ttl_(load_u32(records.data() + kTtlAt)),
        begin_{nullptr, records.data()},
        end_{nullptr, records.data() + records.size()} {}

  // Goes through the RDATA of the records.
  class Iterator {
   public:
    using value_type = BytesView;
    using difference_type = std::ptrdiff_t;

    Iterator() = default;
    Iterator(const Bytes* rdata, const std::uint8_t* record) : rdata_(rdata), record_(record) {}
    BytesView operator*() const {
      if (rdata_) return *rdata_;
      return {record_ + kRdataAt, load_u16(record_ + kRdlengthAt)};
    }
    Iterator& operator++() {
      if (rdata_)
        ++rdata_;
      else
        record_ += kRdataAt + load_u16(record_ + kRdlengthAt);
      return *this;
    }
    Iterator operator++(int) {
      const Iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const Bytes* rdata_ = nullptr;
    const std::uint8_t* record_ = nullptr;
  };

  Iterator begin() const { return begin_; }
  Iterator end() const { return end_; }
  BytesView front() const { return *begin_; }
  std::size_t size() const;  // of records; looks at each

  wire::RRType type() const { return type_; }
  // As an RRset has it: none of their own for RRSIGs.
  std::uint32_t ttl() const { return type_ == wire::RRType::rrsig ? 0 : ttl_; }
  // Of one record of it; see wire::ttl_of().
  std::uint32_t ttl_of(BytesView rdata) const;

  RRset copy() const;
  // The same records in the same order, to the octet.
  bool operator==(const RRsetView& other) const;

 private:
  static constexpr std::size_t kTtlAt = 6;

  wire::RRType type_;
  std::uint32_t ttl_;
  Iterator begin_, end_;
};

// The one of this type, if it is there.
std::optional<RRsetView> find_in(std::span<const RRsetView> rrsets, wire::RRType type);

}  // namespace mutua::authority
