#pragma once

#include <functional>
#include <string>
#include <thread>

#include "authority/store/postgres_session.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace mutua::authority::postgres {

// The channel of the schema's notifications; the payload is the sender's own name.
constexpr const char* kChannel = "mutua_change";

// Waits on a thread and a session of its own for word that others have committed. A lost session is
// begun anew, at most once a second; what was missed meanwhile is made up for by one call.
class Listener {
 public:
  // `self`: the payload that is not to be told of. `changed` is called on the listener's thread.
  static Result<std::unique_ptr<Listener>> start(Address address, std::string self,
                                                 std::function<void()> changed);
  ~Listener();  // waits until no call is under way
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

 private:
  Listener(Address address, std::string self, std::function<void()> changed, UniqueFd stop);
  void run();
  bool listen();
  bool wait(int socket, int milliseconds) const;

  Session session_;
  const std::string self_;
  const std::function<void()> changed_;
  const UniqueFd stop_;  // an eventfd
  std::thread thread_;
};

}  // namespace mutua::authority::postgres
