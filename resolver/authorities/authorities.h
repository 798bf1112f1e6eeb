#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/socket_address.h"
#include "resolver/authorities/ask.h"
#include "resolver/validation/flaw.h"
#include "wire/message.h"

namespace mutua::resolver {

// Nameservers any of which will do: those of the zone, or recursive ones. They are preferred in the order
// of the configuration. One that is silent for longer than four of its round trips, within the bounds of
// its Patience, is not waited for: the next one is asked too, and the first answer that is believed
// counts. One that was silent, or said what is not believed, comes last for a second, doubled with each
// failure up to a minute.
// Thread-safe.
class Authorities {
 public:
  struct Patience {
    std::chrono::milliseconds least{60}, most{400};
  };
  struct Server {
    SocketAddress address;
    Ask ask;
  };
  struct Response {
    Bytes octets;           // as they came
    wire::Message message;  // what the judge left of it
  };
  // Runs on the thread of the server's Ask, for several servers at once.
  using Judge = std::function<std::variant<wire::Message, Flaw>(BytesView octets)>;
  using Done = std::function<void(std::variant<Response, Flaw>)>;

  // At least one server. `clock` outlives this, and this outlives its questions and what `later` runs.
  Authorities(std::vector<Server> servers, Later later, const Clock& clock)
      : Authorities(std::move(servers), std::move(later), clock, Patience()) {}
  Authorities(std::vector<Server> servers, Later later, const Clock& clock, Patience patience);

  // `done` runs once. The flaw is that of the last server to fail.
  void ask(Bytes query, Judge judge, Done done);

  // No server's Ask is called any more when this returns; what is under way ends as its servers do, and
  // further questions fail at once. Not to be called from a callback.
  void stop();

  struct Standing {
    SocketAddress address;
    enum class State { untried, answers, away } state = State::untried;
    std::optional<std::chrono::microseconds> rtt;
    std::string last_failure;  // empty where there was none since it last answered
  };
  std::vector<Standing> standings() const;

 private:
  struct Question;
  using Shared = std::shared_ptr<Question>;

  std::vector<std::size_t> order() const;
  std::chrono::milliseconds patience_with(std::size_t server) const;
  void ask_next(const Shared& question);
  bool send(std::size_t server, const Bytes& query, std::function<void(Result<Bytes>)> done);
  void stop_waiting(const Shared& question, std::size_t turn, std::size_t server);
  void take(const Shared& question, std::size_t server, SteadyTime asked_at, Result<Bytes> octets);
  void note_answer(std::size_t server, std::chrono::microseconds rtt);
  void note_failure(std::size_t server, const Flaw& flaw);

  const std::vector<Server> servers_;
  const Later later_;
  const Clock& clock_;
  const Patience patience_;
  std::atomic<bool> stopped_{false};
  std::atomic<unsigned> asking_{0};  // calls of a server's Ask on their way
  mutable std::mutex mutex_;         // guards the rest
  struct Health {
    Standing::State state = Standing::State::untried;
    std::optional<std::chrono::microseconds> rtt;  // smoothed
    SteadyTime away_until{};
    unsigned failures = 0;  // since it last answered
    std::string last_failure;
    SteadyTime logged_at{};
  };
  std::vector<Health> health_;
};

// Passes messages on as they are: the answer is whatever well-formed message one of them gives to the
// question, octet for octet. `servers` outlive it.
Ask pass_on_to(Authorities& servers);

}  // namespace mutua::resolver
