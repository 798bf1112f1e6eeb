#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

namespace mutua::authority {

// Gives a deadline to calls of a library that would wait for a socket without end: when one takes
// too long, the socket is shut down under it, and the library finds its connection lost. Looks
// every quarter of a second.
class SocketWatchdog {
 public:
  SocketWatchdog();
  ~SocketWatchdog();
  SocketWatchdog(const SocketWatchdog&) = delete;
  SocketWatchdog& operator=(const SocketWatchdog&) = delete;

  // Ends the watch. Meanwhile nobody closes the socket.
  class Watch {
   public:
    Watch(SocketWatchdog& dog, int socket, std::chrono::milliseconds patience);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    SocketWatchdog& dog_;
  };

 private:
  struct Watched {
    int socket;
    std::chrono::steady_clock::time_point deadline;
  };
  void run();

  std::mutex mutex_;  // guards all below
  std::condition_variable wake_;
  std::optional<Watched> watched_;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace mutua::authority
