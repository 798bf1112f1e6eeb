#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "peer/registration/srp_message.h"
#include "peer/registration/update_client.h"

namespace mutua::peer {

// Keeps this peer and its commitments registered: all of it in one update at 80 % of the lease
// plus up to 5 % of jitter; where that update is refused each commitment goes alone, so that one
// refused service costs the others nothing. A failure is tried again after 0.5 s, then at growing
// distances of at most a tenth of the lease. Thread-safe; runs a thread from start() to stop().
class Registrar {
 public:
  Registrar(UpdateClient& client, SrpMessages messages, std::chrono::seconds lease);
  ~Registrar();

  void start();
  // Ends the thread without a word to the authority: commitments lapse by themselves.
  void stop();
  // stop(), then tells the authority that all of it is over (LEASE=0). A failure is logged only.
  void stop_and_withdraw();

  // Registers now and keeps renewing. Where it fails, the error carries the authority's own words
  // and nothing is kept.
  Result<void> commit(const Commitment& commitment);
  // Ends all commitments to a service, now. Where the authority cannot be told, they lapse.
  void withdraw(const wire::Name& service);

  struct Status {
    bool registered = false;  // the last renewal was accepted
    std::string problem;      // of the last renewal, else empty
    std::size_t commitments = 0;
  };
  Status status() const;
  // What the authority said to the last renewal of this service, if it refused it.
  std::string problem_of(const wire::Name& service) const;

 private:
  using Key = std::tuple<wire::Name, std::uint16_t, std::string>;
  void loop();
  std::chrono::milliseconds renew();
  Result<UpdateReply> send(Result<wire::Message> message);
  std::vector<Commitment> all_commitments() const;

  UpdateClient& client_;
  SrpMessages messages_;
  const std::chrono::seconds lease_;
  // Taken before mutex_: one update at a time is built and sent, so that an older picture of the
  // commitments never overtakes a newer one.
  std::mutex sending_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::map<Key, Commitment> commitments_;
  std::map<wire::Name, std::string> problems_;
  Status status_;
  unsigned failures_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace mutua::peer
