#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "authority/server/answering_context.h"
#include "authority/server/counters.h"
#include "authority/server/datagram_answers.h"
#include "base/unique_fd.h"

namespace mutua::authority {

// Answers the datagrams of one socket on one thread, up to 64 for each pair of system calls. Each
// response leaves from the address that was asked.
class UdpWorker {
 public:
  UdpWorker(UniqueFd socket, const AnsweringContext& context);
  ~UdpWorker();  // stops
  UdpWorker(const UdpWorker&) = delete;
  UdpWorker& operator=(const UdpWorker&) = delete;

  void start();
  // Ends the thread. Responses that are still owed can be sent until the last one who owes has
  // let go of its reply.
  void stop();

  const AnswerCounters& counters() const { return counters_; }

 private:
  struct Batch;

  void run();
  void receive_into(Batch& batch);
  void answer_all(Batch& batch);
  void sign(Batch& batch, unsigned index, BytesView response);
  void tell(const Batch& batch);
  void tell(const Batch& batch, unsigned index, BytesView response, std::int64_t now);
  void hand_over(const Taker& taker, Batch& batch, unsigned index);

  const std::shared_ptr<const UniqueFd> socket_;  // shared with the replies that are owed
  const AnsweringContext& context_;
  AnswerCounters counters_;
  DatagramAnswers answers_;
  TapRing* const tap_;  // or nullptr
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace mutua::authority
