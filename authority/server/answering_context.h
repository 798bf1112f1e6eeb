#pragma once

#include <atomic>

#include "authority/query/answer.h"
#include "authority/server/cookies.h"
#include "authority/server/handover.h"
#include "authority/server/rate_limiter.h"
#include "authority/tap/tap.h"
#include "authority/zone/catalog.h"

namespace mutua::authority {

// What the threads that answer have in common; outlives them. What the pointers lead to may be
// replaced at any time and lives until the server ends: a thread takes a pointer once for a batch.
struct AnsweringContext {
  Catalog& catalog;
  Taker update, forward;  // empty forward: names of others are refused
  DatagramGate gate;      // empty: it stands open
  ResponseSigner sign;
  TransferTaker transfer;   // empty: nobody may have the zone
  const ZoneVersion* list;  // the catalog zone; nullptr: there is none
  Tap* tap;                 // is told of everything; nullptr: nobody wants to know
  std::atomic<const Cookies*> cookies;
  std::atomic<RateLimiter*> rate_limiter;  // of what leaves by UDP

  // For a thread that answers, when it is made; nullptr where nobody wants to know.
  TapRing* add_tap_ring() const { return tap ? &tap->add_ring() : nullptr; }
  Recursion recursion() const { return forward ? Recursion::offered : Recursion::refused; }
};

}  // namespace mutua::authority
