// bench_authority: a DNS client that costs less than the servers it loads, and the socket ceiling.
//
//   bench_authority udp|tcp|tls ADDRESS:PORT QUERIES SECONDS   asks as fast as the answers come
//   bench_authority ceiling ADDRESS:PORT OCTETS                answers with so many octets, unread
//
// QUERIES holds messages, each behind its length in two octets. One thread, a closed loop over a
// few connected sockets; it prints one JSON object. The generator spins: give it a processor.

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/durable_file.h"
#include "base/socket_address.h"
#include "base/unique_fd.h"

namespace mutua {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kLargestQueryFile = std::size_t{1} << 30;
constexpr unsigned kBatch = 64;
constexpr int kSocketBuffer = 4 << 20;
constexpr auto kPatience = std::chrono::milliseconds(300);  // then what is under way counts as lost
constexpr auto kWarmUp = std::chrono::milliseconds(200);    // before counting begins

// Messages in an endless circle.
class Queries {
 public:
  static Result<Queries> load(const char* path) {
    Queries queries;
    queries.octets_ = TRY(read_file(path, kLargestQueryFile));
    for (std::size_t at = 0; at + 2 <= queries.octets_.size();) {
      const std::size_t size = load_u16(queries.octets_.data() + at);
      if (size < 12 || queries.octets_.size() - at - 2 < size) return Error("not a query file");
      queries.places_.push_back({at + 2, size});
      at += 2 + size;
    }
    if (queries.places_.empty()) return Error("the query file is empty");
    return queries;
  }

  BytesView next() {
    const auto [at, size] = places_[next_++ % places_.size()];
    return BytesView(octets_).subspan(at, size);
  }

 private:
  Bytes octets_;
  std::vector<std::pair<std::size_t, std::size_t>> places_;
  std::size_t next_ = 0;
};

struct Count {
  std::uint64_t answers = 0, name_errors = 0, failures = 0, truncated = 0, lost = 0, octets = 0;

  void add(const std::uint8_t* header, std::size_t size) {
    ++answers;
    octets += size;
    const unsigned rcode = header[3] & 15;
    if (rcode == 3) ++name_errors;
    if (rcode != 0 && rcode != 3) ++failures;
    if ((header[2] & 2) != 0) ++truncated;
  }
};

Result<UniqueFd> open_connected(const SocketAddress& server, int type) {
  UniqueFd fd(::socket(server.family(), type | SOCK_CLOEXEC, 0));
  if (!fd) return errno_error(errno, "socket");
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kSocketBuffer, sizeof kSocketBuffer);
  if (type == SOCK_STREAM) ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(fd.get(), server.data(), server.size()) != 0)
    return errno_error(errno, "connect " + server.to_text());
  return fd;
}

// One socket with a window of questions under way.
class Asker {
 public:
  virtual ~Asker() = default;
  // Takes the answers that are there and asks again in their place. False where the peer is gone.
  virtual bool turn(Count& count) = 0;
};

class UdpAsker final : public Asker {
 public:
  static constexpr unsigned kSockets = 8;

  UdpAsker(UniqueFd socket, Queries& queries) : socket_(std::move(socket)), queries_(queries) {
    for (unsigned i = 0; i < kBatch; ++i) {
      parts_[i] = {headers_[i].data(), headers_[i].size()};
      in_[i].msg_hdr.msg_iov = &parts_[i];
      in_[i].msg_hdr.msg_iovlen = 1;
    }
  }

  bool turn(Count& count) override {
    const int got =
        ::recvmmsg(socket_.get(), in_.data(), kBatch, MSG_DONTWAIT | MSG_TRUNC, nullptr);
    if (got < 0 && errno != EAGAIN && errno != EINTR) return false;
    const auto now = Clock::now();
    for (int i = 0; i < got; ++i)
      count.add(headers_[static_cast<unsigned>(i)].data(), in_[static_cast<unsigned>(i)].msg_len);
    if (got > 0) {
      under_way_ -= std::min(under_way_, static_cast<unsigned>(got));
      progress_ = now;
    } else if (now - progress_ > kPatience) {
      count.lost += std::exchange(under_way_, 0u);
      progress_ = now;
    }
    if (under_way_ <= kWindow / 2) ask(kWindow - under_way_);
    return true;
  }

 private:
  static constexpr unsigned kWindow = 32;

  // Runs of questions of one size leave in one call, cut by the kernel (UDP_SEGMENT).
  void ask(unsigned wanted) {
    while (wanted > 0) {
      segments_.clear();
      if (pending_.empty()) pending_ = queries_.next();
      const std::size_t size = pending_.size();
      unsigned run = 0;
      while (run < wanted && pending_.size() == size) {
        append_u16(segments_, id_++);
        append(segments_, pending_.subspan(2));
        pending_ = queries_.next();
        ++run;
      }
      if (!send_segments(static_cast<std::uint16_t>(size))) return;
      under_way_ += run;
      wanted -= run;
    }
  }

  bool send_segments(std::uint16_t size) {
    iovec part{segments_.data(), segments_.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof size)> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof size);
    std::memcpy(CMSG_DATA(header), &size, sizeof size);
    return ::sendmsg(socket_.get(), &message, MSG_DONTWAIT) >= 0;
  }

  UniqueFd socket_;
  Queries& queries_;
  BytesView pending_;
  Bytes segments_;
  std::uint16_t id_ = 0;
  unsigned under_way_ = 0;
  Clock::time_point progress_ = Clock::now();
  std::array<std::array<std::uint8_t, 16>, kBatch> headers_{};
  std::array<iovec, kBatch> parts_{};
  std::array<mmsghdr, kBatch> in_{};
};

class TcpAsker final : public Asker {
 public:
  static constexpr unsigned kSockets = 16;

  TcpAsker(UniqueFd socket, Queries& queries) : socket_(std::move(socket)), queries_(queries) {}

  bool turn(Count& count) override {
    if (under_way_ > 0) {
      const ssize_t got =
          ::recv(socket_.get(), in_.data() + filled_, in_.size() - filled_, MSG_DONTWAIT);
      if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return false;
      if (got > 0) take(static_cast<std::size_t>(got), count);
      // Servers that write each answer by itself would wait for a delayed acknowledgement.
      const int on = 1;
      if (got > 0) ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
    }
    if (under_way_ <= kWindow / 2 && !ask(kWindow - under_way_)) return false;
    return true;
  }

 private:
  static constexpr unsigned kWindow = 16;

  void take(std::size_t got, Count& count) {
    filled_ += got;
    std::size_t at = 0;
    while (filled_ - at >= 2) {
      const std::size_t size = load_u16(in_.data() + at);
      if (filled_ - at - 2 < size) break;
      count.add(in_.data() + at + 2, size);
      --under_way_;
      at += 2 + size;
    }
    std::copy(in_.begin() + static_cast<std::ptrdiff_t>(at),
              in_.begin() + static_cast<std::ptrdiff_t>(filled_), in_.begin());
    filled_ -= at;
  }

  // A few hundred octets into an empty buffer: they always fit.
  bool ask(unsigned wanted) {
    out_.clear();
    for (unsigned i = 0; i < wanted; ++i) {
      const BytesView query = queries_.next();
      append_u16(out_, static_cast<std::uint16_t>(query.size()));
      append(out_, query);
    }
    under_way_ += wanted;
    return ::send(socket_.get(), out_.data(), out_.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(out_.size());
  }

  UniqueFd socket_;
  Queries& queries_;
  Bytes out_;
  unsigned under_way_ = 0;
  std::size_t filled_ = 0;
  std::array<std::uint8_t, 256 * 1024> in_;
};

// As TcpAsker, over TLS 1.3. Whose certificate it is does not matter here.
class TlsAsker final : public Asker {
 public:
  static constexpr unsigned kSockets = 16;

  TlsAsker(UniqueFd socket, Queries& queries)
      : socket_(std::move(socket)),
        context_(SSL_CTX_new(TLS_client_method())),
        stream_(SSL_new(context_.get())),
        queries_(queries) {
    SSL_set_fd(stream_.get(), socket_.get());
    connected_ = SSL_connect(stream_.get()) == 1;
    ::fcntl(socket_.get(), F_SETFL, O_NONBLOCK);
  }

  bool turn(Count& count) override {
    if (!connected_) return false;
    std::size_t got = 0;
    while (under_way_ > 0 &&
           SSL_read_ex(stream_.get(), in_.data() + filled_, in_.size() - filled_, &got) == 1)
      take(got, count);
    const int on = 1;
    if (got > 0) ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
    if (under_way_ > kWindow / 2) return true;
    out_.clear();
    const unsigned wanted = kWindow - under_way_;
    for (unsigned i = 0; i < wanted; ++i) {
      const BytesView query = queries_.next();
      append_u16(out_, static_cast<std::uint16_t>(query.size()));
      append(out_, query);
    }
    under_way_ += wanted;
    // A few hundred octets into an empty buffer: they always fit.
    return SSL_write_ex(stream_.get(), out_.data(), out_.size(), &got) == 1;
  }

 private:
  static constexpr unsigned kWindow = 16;
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(SSL* stream) const { SSL_free(stream); }
  };

  void take(std::size_t got, Count& count) {
    filled_ += got;
    std::size_t at = 0;
    while (filled_ - at >= 2) {
      const std::size_t size = load_u16(in_.data() + at);
      if (filled_ - at - 2 < size) break;
      count.add(in_.data() + at + 2, size);
      --under_way_;
      at += 2 + size;
    }
    std::copy(in_.begin() + static_cast<std::ptrdiff_t>(at),
              in_.begin() + static_cast<std::ptrdiff_t>(filled_), in_.begin());
    filled_ -= at;
  }

  UniqueFd socket_;
  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> stream_;
  Queries& queries_;
  bool connected_ = false;
  Bytes out_;
  unsigned under_way_ = 0;
  std::size_t filled_ = 0;
  std::array<std::uint8_t, 256 * 1024> in_;
};

template <typename OneAsker>
Result<void> load(const SocketAddress& server, int type, Queries queries, double seconds) {
  std::vector<std::unique_ptr<Asker>> askers;
  for (unsigned i = 0; i < OneAsker::kSockets; ++i)
    askers.push_back(std::make_unique<OneAsker>(TRY(open_connected(server, type)), queries));
  Count count;
  const auto run_until = [&](Clock::time_point end) -> Result<void> {
    while (Clock::now() < end)
      for (const auto& asker : askers)
        if (!asker->turn(count)) return Error("the server closed a socket");
    return {};
  };
  TRY(run_until(Clock::now() + kWarmUp));
  std::puts("counting");  // whoever measures the server's processor time begins now
  std::fflush(stdout);
  count = {};
  const auto start = Clock::now();
  TRY(run_until(
      start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds))));
  const std::chrono::duration<double> took = Clock::now() - start;
  std::printf(
      "{\"answers\": %llu, \"name_errors\": %llu, \"failures\": %llu, \"truncated\": %llu, "
      "\"lost\": %llu, \"octets\": %llu, \"seconds\": %.6f}\n",
      static_cast<unsigned long long>(count.answers),
      static_cast<unsigned long long>(count.name_errors),
      static_cast<unsigned long long>(count.failures),
      static_cast<unsigned long long>(count.truncated), static_cast<unsigned long long>(count.lost),
      static_cast<unsigned long long>(count.octets), took.count());
  return {};
}

// What recvmmsg and sendmmsg allow on this machine: every datagram is answered with its own header
// and question and then nothing of meaning, up to `size` octets.
Result<void> be_the_ceiling(const SocketAddress& address, std::size_t size) {
  UniqueFd fd(::socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno_error(errno, "socket");
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kSocketBuffer, sizeof kSocketBuffer);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &kSocketBuffer, sizeof kSocketBuffer);
  if (::bind(fd.get(), address.data(), address.size()) != 0)
    return errno_error(errno, "bind " + address.to_text());
  constexpr std::size_t kLargest = 2048;
  struct Buffers {
    std::array<std::array<std::uint8_t, kLargest>, kBatch> octets{};
    std::array<sockaddr_storage, kBatch> peers{};
    std::array<iovec, kBatch> parts{};
    std::array<mmsghdr, kBatch> messages{};
  };
  const auto all = std::make_unique<Buffers>();
  while (true) {
    for (unsigned i = 0; i < kBatch; ++i) {
      all->parts[i] = {all->octets[i].data(), kLargest};
      msghdr& header = all->messages[i].msg_hdr;
      header.msg_iov = &all->parts[i];
      header.msg_iovlen = 1;
      header.msg_name = &all->peers[i];
      header.msg_namelen = sizeof(sockaddr_storage);
    }
    const int got = ::recvmmsg(fd.get(), all->messages.data(), kBatch, MSG_WAITFORONE, nullptr);
    for (int i = 0; i < got; ++i) {
      const auto index = static_cast<unsigned>(i);
      all->octets[index][2] = 0x84;
      all->octets[index][3] = 0;
      all->parts[index].iov_len = std::max<std::size_t>(all->messages[index].msg_len, size);
    }
    for (int sent = 0; sent < got;) {
      const int more = ::sendmmsg(fd.get(), &all->messages[static_cast<unsigned>(sent)],
                                  static_cast<unsigned>(got - sent), 0);
      sent += std::max(more, 1);
    }
  }
}

Result<void> run(int count, char** words) {
  const std::string mode = count > 1 ? words[1] : "";
  if (mode == "ceiling" && count == 4) {
    const std::size_t size = std::strtoul(words[3], nullptr, 10);
    if (size < 12 || size > 2048) return Error("ceiling: 12 to 2048 octets");
    return be_the_ceiling(TRY(SocketAddress::parse(words[2], 0)), size);
  }
  if ((mode != "udp" && mode != "tcp" && mode != "tls") || count != 5)
    return Error(
        "usage: bench_authority udp|tcp|tls ADDRESS:PORT QUERIES SECONDS, or "
        "bench_authority ceiling ADDRESS:PORT OCTETS");
  const SocketAddress server = TRY(SocketAddress::parse(words[2], 0));
  Queries queries = TRY(Queries::load(words[3]));
  const double seconds = std::strtod(words[4], nullptr);
  if (mode == "udp") return load<UdpAsker>(server, SOCK_DGRAM, std::move(queries), seconds);
  if (mode == "tls") return load<TlsAsker>(server, SOCK_STREAM, std::move(queries), seconds);
  return load<TcpAsker>(server, SOCK_STREAM, std::move(queries), seconds);
}

}  // namespace
}  // namespace mutua

int main(int argc, char** argv) {
  const auto done = mutua::run(argc, argv);
  if (done.ok()) return 0;
  std::fprintf(stderr, "bench_authority: %s\n", done.error().message().c_str());
  return 1;
}
