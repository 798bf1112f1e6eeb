#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/socket_address.h"
#include "resolver/mirror/mirror_proof.h"
#include "resolver/validation/trust_anchors.h"
#include "wire/message.h"
#include "wire/tsig_key.h"
#include "zone_transfer/incoming_transfer.h"

namespace mutua::resolver {

struct MirrorSettings {
  TrustAnchors anchors;                    // not empty; they name the zone
  std::vector<SocketAddress> authorities;  // at least one; each must allow transfers
  std::filesystem::path file;
  // Signs the requests; their answers must be signed, too.
  std::optional<wire::TsigKey> transfer_key{};
  // How often a newer serial is looked for. The SOA's refresh counts where it is less.
  std::chrono::seconds refresh{10};
  // How long the zone is used after the last word of an authority about it.
  std::chrono::seconds stale_for{std::chrono::hours(72)};
  std::chrono::seconds message_patience{10};
  std::chrono::minutes transfer_patience{10};
  zone_transfer::IncomingLimits limits{std::size_t{1} << 30, 10'000'000};
};

// A whole copy of the zone, so that nobody has to be asked about its names. One thread fetches it by
// AXFR and then looks for differences by IXFR, of one authority after the other; one that fails is
// left out for a minute. A version is used only when it is proven whole (prove_mirror()) and its serial
// is not before that of the one in use. It is kept in the file, so that it is there at the next start
// even if nobody can be reached then: written at once the first time, later at most once a minute
// (what a crash loses is fetched again), and proven again when it is read. The file's time is when an
// authority was last heard.
//
// Signatures that end are no reason to stop while nobody is there to ask: the zone is as good as it was
// when an authority last spoke, for `stale_for`. But an authority that says that nothing is newer, while
// a signature has ended, is not heard.
class Mirror {
 public:
  // Fails where the file's folder cannot be made. `clock` outlives the mirror.
  static Result<std::unique_ptr<Mirror>> create(MirrorSettings settings, const Clock& clock);
  virtual ~Mirror() = default;  // stops

  // On its thread it takes what the file holds, if that is of any use, and then looks at the authorities.
  virtual void start() = 0;
  virtual void stop() = 0;

  // Any thread. Nothing where there is no zone to answer from, or the name lies outside it.
  virtual std::optional<wire::Message> answer(const wire::Question& question) const = 0;
  // Whether the zone looks aside for a name outside it. Any thread.
  virtual bool looks_aside_for(const wire::Name& name) const = 0;

  // When an authority was last heard, by the clock; nothing where there is no zone to answer from.
  virtual std::optional<SteadyTime> heard_at() const = 0;

  struct Status {
    bool serves = false;
    std::uint32_t serial = 0;
    std::size_t names = 0;
    bool by_digest = false;
    std::chrono::seconds age{0};  // since an authority was heard
    WallTime valid_until{};
    std::string last_failure;  // empty where the last look succeeded
  };
  virtual Status status() const = 0;

  // Looks at the authorities now, on the caller's thread: for tests that never called start(). Fails
  // where none of them could be followed.
  virtual Result<void> refresh_now() = 0;
};

}  // namespace mutua::resolver
