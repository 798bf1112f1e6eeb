#pragma once

#include <atomic>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "authority/tap/frame_stream.h"
#include "authority/tap/tap_encoder.h"
#include "authority/tap/tap_ring.h"
#include "base/clock.h"
#include "base/counter.h"

namespace mutua::authority {

struct TapConfig {
  FrameStream::Target target = FrameStream::Target::socket;
  std::filesystem::path path;
  std::string identity, version;  // of the server
};

// Tells a reader of dnstap what is asked and answered, on a thread of its own that takes only what
// the processors have left: whoever asks does not wait for it. What cannot be told in time is
// dropped and counted. A reader that is not there is looked for once a second.
class Tap {
 public:
  explicit Tap(TapConfig config);
  ~Tap();  // stops
  Tap(const Tap&) = delete;
  Tap& operator=(const Tap&) = delete;

  // For one thread that answers; lives as long as the tap. Before start().
  TapRing& add_ring();
  // Any thread; of updates, which are few.
  void record_update(const TapExchange& exchange);

  void start();
  // Ends the thread, once what was recorded is told, if that can be done at once.
  void stop();

  const Counter& told() const { return told_; }  // exchanges; any thread
  std::uint64_t dropped() const;

 private:
  void run();
  void connect();
  void tell();
  void write();

  const TapConfig config_;
  TapEncoder encoder_;  // the thread's
  std::list<TapRing> rings_;
  std::mutex update_mutex_;  // of those who record updates
  TapRing updates_{std::size_t{1} << 20};
  Counter told_, unread_;
  unsigned encoded_ = 0;  // exchanges in the encoder
  std::unique_ptr<FrameStream> stream_;
  SteadyTime next_look_{};
  bool was_there_ = true;  // the reader, as the log has it
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace mutua::authority
