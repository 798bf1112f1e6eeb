#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>

#include "authority/query/answer.h"
#include "authority/server/answering_context.h"
#include "authority/server/counters.h"
#include "authority/server/handover.h"
#include "authority/tls/tls_stream.h"
#include "authority/zone/zone_version.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/socket_address.h"
#include "base/unique_fd.h"

namespace mutua::authority {

// One client's TCP connection, plain or with TLS: requests and responses, each behind its length in
// two octets (RFC 1035 section 4.2.2), any number under way at a time, responses in the order in
// which they are ready (RFC 7766 section 6.2.1.1). Knows buffers and limits; TcpServer knows
// sockets and time.
class TcpConnection {
 public:
  static constexpr std::size_t kMostUnsent = 128 * 1024;  // octets of responses; one more may begin
  static constexpr unsigned kMostOwed = 64;  // messages handed over and not replied yet

  // `tls`: null where the connection is plain.
  TcpConnection(UniqueFd socket, std::unique_ptr<TlsStream> tls, SocketAddress peer,
                std::uint64_t id)
      : socket_(std::move(socket)), tls_(std::move(tls)), peer_(peer), id_(id) {}

  // Room to work in, which all connections of a thread share.
  struct Scratch {
    std::array<Answering, 32> answerings;  // of requests that came together
    std::array<std::uint8_t, kTcpResponseSize> response;
  };

  // What to do with a message that answer() does not answer by itself. False closes the connection;
  // for a transfer it means that the REFUSED goes out.
  using HandOver = std::function<bool(Answered::Kind kind, BytesView message)>;

  // What answers are made from; lives as long as the call.
  struct Surroundings {
    const AnsweringContext& context;
    const ZoneVersion& version;
    const HandOver& hand_over;
    Scratch& scratch;
    AnswerCounters& counters;
    std::uint32_t seconds;  // since 1970
    TapRing* tap;           // or nullptr
    std::int64_t came;      // for the tap
  };

  // Takes octets that came. Nothing is answered before answer_requests().
  void received(BytesView octets) { append(in_, octets); }
  // Answers the whole requests that came, as far as the limits let it; true if there were any.
  bool answer_requests(const Surroundings& surroundings);
  // Sends this before anything else is answered. For the hand-over of a transfer to call.
  void begin_stream(std::unique_ptr<MessageStream> stream) { stream_ = std::move(stream); }
  // Queues more of the stream, if there is one and the limits let it; true if there was any.
  bool continue_stream();

  // Queues the response to a message that was handed over; empty: there is none.
  void replied(BytesView response);

  BytesView unsent() const { return BytesView(out_).subspan(out_sent_); }
  void sent(std::size_t octets);

  // False while the limits are reached: what is there must leave first.
  bool wants_input() const { return !peer_is_done_ && !at_limit(); }
  void peer_finished() { peer_is_done_ = true; }
  // Nothing is owed and nothing more can come.
  bool is_finished() const { return broken_ || (peer_is_done_ && is_idle() && !has_request()); }
  bool is_idle() const { return owed_ == 0 && unsent().empty() && !stream_; }
  // There is something to send now, or there will be once this has left.
  bool wants_output() const { return !unsent().empty() || stream_; }
  // A whole request has come and is not answered yet.
  bool has_request() const { return request_at(0).has_value(); }
  void break_off() { broken_ = true; }

  int fd() const { return socket_.get(); }
  TlsStream* tls() { return tls_.get(); }
  Transport transport() const { return tls_ ? Transport::tls : Transport::tcp; }
  const SocketAddress& peer() const { return peer_; }
  std::uint64_t id() const { return id_; }

  // Kept by the server.
  SteadyTime last_progress{};
  std::uint32_t watched_events = 0;
  std::list<std::uint64_t>::iterator place_by_progress{};

 private:
  bool at_limit() const { return unsent().size() >= kMostUnsent || owed_ >= kMostOwed || stream_; }
  // The whole message whose length stands at `at` of the input; nothing where it has not come.
  std::optional<BytesView> request_at(std::size_t at) const;
  unsigned begin_requests(std::size_t at, const Surroundings& surroundings) const;
  bool answer_one(BytesView message, const Answering& answering, const Surroundings& surroundings);
  bool respond(BytesView message, const Answered& answered, const Surroundings& surroundings);
  void queue(BytesView response);
  void tell(BytesView message, BytesView response, const Surroundings& surroundings) const;

  UniqueFd socket_;
  std::unique_ptr<TlsStream> tls_;  // over the socket
  SocketAddress peer_;
  std::uint64_t id_;
  Bytes in_, out_;
  std::size_t out_sent_ = 0;
  std::unique_ptr<MessageStream> stream_;
  unsigned owed_ = 0;
  bool peer_is_done_ = false;
  bool broken_ = false;
};

}  // namespace mutua::authority
