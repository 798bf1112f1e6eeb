#include "authority/server/xdp_worker.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "base/thread_scheduling.h"

namespace mutua::authority {
namespace {

constexpr unsigned kBatchSize = 64;
constexpr std::chrono::milliseconds kLongestWait(
    200);  // then the thread looks whether it is to end
static_assert(kMostFrameHeaders + kUdpResponseSize <= XdpSocket::kFrameSize);

}  // namespace

struct XdpWorker::Batch {
  explicit Batch(Catalog& catalog) : reader(catalog) {}

  Catalog::Reader reader;
  unsigned size = 0;  // of what could be read of the frames
  std::array<BytesView, kBatchSize> frames;
  std::array<DatagramFrame, kBatchSize> questions;
  std::array<Answering, kBatchSize> answerings;
  std::int64_t came = 0;                        // for the tap
  std::array<BytesView, kBatchSize> responses;  // empty where there is none
};

XdpWorker::XdpWorker(std::unique_ptr<XdpSocket> socket, std::vector<XdpEndpoint> endpoints,
                     const AnsweringContext& context)
    : socket_(std::move(socket)),
      endpoints_(std::move(endpoints)),
      context_(context),
      answers_(context, counters_),
      tap_(context.add_tap_ring()) {}

XdpWorker::~XdpWorker() { stop(); }

void XdpWorker::start() {
  thread_ = std::thread([this] { run(); });
}

void XdpWorker::stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true);
  thread_.join();
}

void XdpWorker::run() {
  ask_for_short_slices();
  const auto batch = std::make_unique<Batch>(context_.catalog);
  while (!stopping_.load(std::memory_order_relaxed)) {
    const unsigned count = socket_->receive(batch->frames);
    if (count == 0) {
      socket_->wait(kLongestWait);
      continue;
    }
    batch->size = count;
    read(*batch);
    answer_all(*batch);
    if (tap_) tell(*batch);  // before the kernel takes the frames
    socket_->release();
    socket_->flush();
  }
}

// Leaves those frames in the batch that hold a datagram.
void XdpWorker::read(Batch& batch) {
  unsigned kept = 0;
  for (unsigned i = 0; i < batch.size; ++i) {
    const auto question = read_datagram(batch.frames[i]);
    if (!question) continue;
    batch.frames[kept] = batch.frames[i];
    batch.questions[kept++] = *question;
  }
  batch.size = kept;
}

void XdpWorker::answer_all(Batch& batch) {
  const auto version = batch.reader.pin();
  answers_.begin_batch(batch.size);
  if (tap_) batch.came = tap_time();
  for (unsigned i = 0; i < batch.size; ++i)
    batch.answerings[i].begin(batch.questions[i].message, *version, context_.list);
  advance_together(std::span(batch.answerings).first(batch.size));
  for (unsigned i = 0; i < batch.size; ++i) answer_one(batch, i);
}

void XdpWorker::answer_one(Batch& batch, unsigned index) {
  batch.responses[index] = {};
  const std::span<std::uint8_t> place = socket_->place();
  if (place.empty()) return;  // all are under way: lost, as any datagram may be
  const DatagramFrame& question = batch.questions[index];
  const std::span<std::uint8_t> response = place.subspan(question.header_size);
  const Answered answered =
      answers_.finish(batch.answerings[index], question.source, response.first(kUdpResponseSize));
  std::size_t size = answered.size;
  switch (answered.kind) {
    case Answered::Kind::silent:
    case Answered::Kind::update:  // what the kernel takes for a question is none
      return;
    case Answered::Kind::not_ours:
      if (!context_.forward || !asks_for_recursion(question.message)) break;
      return forward(question);
    case Answered::Kind::to_sign: {
      const Bytes with_tsig = context_.sign(question.message, response.first(size));
      if (with_tsig.empty() || with_tsig.size() > response.size()) return;
      std::ranges::copy(with_tsig, response.begin());
      size = with_tsig.size();
      break;
    }
    case Answered::Kind::response:
    case Answered::Kind::transfer:
      break;
  }
  answers_.count(response.data());
  batch.responses[index] = response.first(size);
  socket_->send(put_reply_headers(batch.frames[index], question, place, size));
}

void XdpWorker::tell(const Batch& batch) {
  const std::int64_t now = tap_time();
  for (unsigned i = 0; i < batch.size; ++i) {
    if (batch.responses[i].empty()) continue;
    const DatagramFrame& question = batch.questions[i];
    tap_->record({TapExchange::Kind::question, TapExchange::Protocol::udp, question.source,
                  question.source_port, batch.came, now, question.message, batch.responses[i]});
  }
  tap_->publish();
}

const XdpEndpoint* XdpWorker::endpoint_of(const DatagramFrame& question) const {
  const auto found = std::ranges::find_if(endpoints_, [&](const XdpEndpoint& endpoint) {
    return endpoint.address.port() == question.destination_port &&
           std::ranges::equal(endpoint.address.address_octets(), question.destination);
  });
  return found == endpoints_.end() ? nullptr : &*found;
}

void XdpWorker::forward(const DatagramFrame& question) {
  const XdpEndpoint* endpoint = endpoint_of(question);
  const auto source = SocketAddress::from_octets(question.source, question.source_port);
  if (!endpoint || !source) return;
  Handover handover;
  handover.message = to_bytes(question.message);
  handover.source = *source;
  handover.transport = Transport::udp;
  handover.reply = [socket = endpoint->socket, to = *source](Bytes response) {
    if (response.empty()) return;
    [[maybe_unused]] const ssize_t sent =
        ::sendto(socket->get(), response.data(), response.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                 to.data(), to.size());
  };
  counters_.handed_over.add(1);
  // Where it is full, the datagram is dropped and the client tries again.
  [[maybe_unused]] const bool taken = context_.forward(std::move(handover));
}

}  // namespace mutua::authority
