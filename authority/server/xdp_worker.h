#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "authority/server/answering_context.h"
#include "authority/server/counters.h"
#include "authority/server/datagram_answers.h"
#include "authority/xdp/datagram_frame.h"
#include "authority/xdp/xdp_socket.h"
#include "base/socket_address.h"
#include "base/unique_fd.h"

namespace mutua::authority {

// An address that questions come to by AF_XDP, and its ordinary UDP socket, by which responses
// leave that are not ready at once.
struct XdpEndpoint {
  SocketAddress address;
  std::shared_ptr<const UniqueFd> socket;
};

// Answers the questions of one queue of a network interface on one thread: read where the kernel
// put the frame, answered in a frame of its own. UPDATE and NOTIFY do not come this way.
class XdpWorker {
 public:
  XdpWorker(std::unique_ptr<XdpSocket> socket, std::vector<XdpEndpoint> endpoints,
            const AnsweringContext& context);
  ~XdpWorker();  // stops
  XdpWorker(const XdpWorker&) = delete;
  XdpWorker& operator=(const XdpWorker&) = delete;

  void start();
  // Ends the thread. Responses that are still owed can be sent.
  void stop();

  const AnswerCounters& counters() const { return counters_; }

 private:
  struct Batch;

  void run();
  void read(Batch& batch);
  void answer_all(Batch& batch);
  void answer_one(Batch& batch, unsigned index);
  void forward(const DatagramFrame& question);
  void tell(const Batch& batch);
  const XdpEndpoint* endpoint_of(const DatagramFrame& question) const;

  const std::unique_ptr<XdpSocket> socket_;
  const std::vector<XdpEndpoint> endpoints_;
  const AnsweringContext& context_;
  AnswerCounters counters_;
  DatagramAnswers answers_;
  TapRing* const tap_;  // or nullptr
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace mutua::authority
