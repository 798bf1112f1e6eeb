#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "resolver/authorities/ask.h"
#include "resolver/authorities/authorities.h"
#include "resolver/validation/trust_anchors.h"
#include "resolver/validation/zone_keys.h"
#include "wire/message.h"

namespace mutua::resolver {

// Asks the authorities about the zone. With trust anchors only what DNSSEC proves is an answer
// (see validate()), and only names at or below the zone are asked about; an authority whose answer is
// not proven is passed over for the next. Without, NOERROR, NXDOMAIN, REFUSED and NOTAUTH are answers.
//
// The zone's keys are kept for their TTL, an hour at most. When a signature is by a key that is not
// among them, they are asked for again, though not more than once in 5 s: so a roll-over is followed
// at once, as long as an anchor's key signs the keys.
// Thread-safe.
class ZoneClient {
 public:
  // All outlive the client, and it outlives its questions.
  ZoneClient(TrustAnchors anchors, Authorities& authorities, const Clock& clock);

  void ask(const wire::Question& question, std::function<void(ZoneAnswer)> done);

  using Keys = std::shared_ptr<const ZoneKeys>;
  // Those that are proven at the moment; never called without anchors.
  void with_keys(std::function<void(std::variant<Keys, Flaw>)> done);

  // The keys are asked for again before anything else is.
  void forget_keys();

  bool validates() const { return !anchors_.empty(); }
  const TrustAnchors& anchors() const { return anchors_; }

  // For a person: the trust anchors and the zone's keys.
  struct KeyStatus {
    Keys keys;                             // null while there are none
    std::string last_flaw;                 // why the keys could not be had, empty where they could
    std::size_t answers = 0, refused = 0;  // proven, not believed
  };
  KeyStatus key_status() const;

 private:
  using KeysDone = std::function<void(std::variant<Keys, Flaw>)>;
  enum class Known { will_do, is_outdated };

  void need_keys(Known known, KeysDone done);
  void settle_keys(std::variant<Authorities::Response, Flaw> answer);
  void ask_signed(const wire::Question& question, const Keys& keys, bool may_ask_again,
                  std::function<void(ZoneAnswer)> done);

  const TrustAnchors anchors_;
  Authorities& authorities_;
  const Clock& clock_;
  mutable std::mutex mutex_;  // guards the rest
  std::variant<Keys, Flaw> keys_;
  SteadyTime asked_at_{}, good_until_{};  // of keys_
  bool have_asked_ = false;
  std::vector<KeysDone> waiting_;  // not empty: the keys are being asked for
  std::size_t answers_ = 0, refused_ = 0;
};

}  // namespace mutua::resolver
