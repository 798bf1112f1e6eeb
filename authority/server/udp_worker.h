#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "authority/server/handover.h"
#include "authority/zone/catalog.h"
#include "base/unique_fd.h"

namespace mutua::authority {

// Answers the datagrams of one socket on one thread, up to 64 for each pair of system calls. Each
// response leaves from the address that was asked.
class UdpWorker {
 public:
  // `forward` is empty where names of others are refused. `catalog` outlives the worker.
  UdpWorker(UniqueFd socket, Catalog& catalog, Taker update, Taker forward);
  ~UdpWorker();  // stops
  UdpWorker(const UdpWorker&) = delete;
  UdpWorker& operator=(const UdpWorker&) = delete;

  void start();
  // Ends the thread. Responses that are still owed can be sent until the last one who owes has
  // let go of its reply.
  void stop();

 private:
  struct Batch;

  void run();
  void receive_into(Batch& batch);
  void answer_all(Batch& batch);
  void hand_over(const Taker& taker, Batch& batch, unsigned index);

  const std::shared_ptr<const UniqueFd> socket_;  // shared with the replies that are owed
  Catalog& catalog_;
  const Taker update_, forward_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace mutua::authority
