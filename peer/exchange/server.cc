#include "peer/exchange/server.h"

#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <exception>
#include <map>
#include <thread>

#include "base/log.h"
#include "peer/exchange/range.h"
#include "peer/exchange/request_target.h"

namespace mutua::peer {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

constexpr std::size_t kMostConnections = 128;
constexpr std::size_t kMostFromOneAddress = 16;
constexpr std::size_t kLargestRequestBytes = 8 * 1024;
constexpr std::size_t kChunkBytes = 128 * 1024;
constexpr std::chrono::seconds kRequestTimeout{10};
constexpr std::chrono::seconds kSendTimeout{30};
constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

// An answer: a small body in memory, or a part of a blob.
struct Answer {
  http::status status = http::status::ok;
  std::string content_type = "application/json";
  std::string digest;         // Docker-Content-Digest
  std::string content_range;  // of 206 and 416
  Bytes body;
  BlobStore::OpenBlob blob;  // instead of `body`, where its fd is open
  std::uint64_t first = 0;
  std::uint64_t length = 0;  // of the part of the blob, or of `body`
};

Answer failure(http::status status, const std::string& code, const std::string& message) {
  Answer answer;
  answer.status = status;
  answer.body = to_bytes(std::string_view(R"({"errors":[{"code":")" + code + R"(","message":")" +
                                          message + R"("}]})"));
  answer.length = answer.body.size();
  return answer;
}

Answer small_answer(std::string_view content_type, Bytes body) {
  Answer answer;
  answer.content_type = content_type;
  answer.length = body.size();
  answer.body = std::move(body);
  return answer;
}

Answer blob_answer(const BlobStore& store, const trust::Digest& digest, std::string_view type,
                   std::string_view range_header) {
  auto blob = store.open_blob(digest);
  if (!blob.ok()) return failure(http::status::not_found, "BLOB_UNKNOWN", "not held here");
  const std::uint64_t size_bytes = blob->size_bytes;
  const ByteRange range = parse_range(range_header, size_bytes);
  const std::string total = "/" + std::to_string(size_bytes);
  if (range.kind == ByteRange::Kind::unsatisfiable) {
    Answer answer = failure(http::status::range_not_satisfiable, "SIZE_INVALID", "no such range");
    answer.content_range = "bytes */" + std::to_string(size_bytes);
    return answer;
  }
  Answer answer;
  answer.content_type = type;
  answer.digest = digest.to_text();
  answer.blob = std::move(*blob);
  answer.first = range.first;
  answer.length = range.length;
  if (range.kind == ByteRange::Kind::part) {
    answer.status = http::status::partial_content;
    answer.content_range = "bytes " + std::to_string(range.first) + "-" +
                           std::to_string(range.first + range.length - 1) + total;
  }
  return answer;
}

Answer answer_to(const http::request<http::empty_body>& request, const BlobStore& store,
                 const Offers& offers) {
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    return failure(http::status::method_not_allowed, "UNSUPPORTED", "only GET and HEAD");
  }
  const auto not_found = [](const char* code) {
    return failure(http::status::not_found, code, "not offered here");
  };
  const auto target = parse_request_target({request.target().data(), request.target().size()});
  if (!target) return not_found("UNSUPPORTED");
  if (target->kind == RequestTarget::Kind::version) {
    return small_answer("application/json", to_bytes(std::string_view("{}")));
  }
  const auto offer = offers.find(target->service);
  if (!offer) return not_found("NAME_UNKNOWN");
  const bool latest =
      target->kind == RequestTarget::Kind::manifest && target->reference == "latest";
  const auto digest = latest ? Result(offer->manifest) : trust::Digest::parse(target->reference);
  if (!digest.ok()) return failure(http::status::bad_request, "DIGEST_INVALID", "not a digest");
  if (target->kind == RequestTarget::Kind::referrers) {
    return small_answer(
        media_type::image_index,
        print_referrers(*digest == offer->manifest ? offer->signatures : std::vector<Referrer>()));
  }
  if (target->kind == RequestTarget::Kind::manifest) {
    if (!offer->manifests.contains(*digest)) return not_found("MANIFEST_UNKNOWN");
    return blob_answer(store, *digest, media_type::image_manifest, {});
  }
  if (!offer->blobs.contains(*digest)) return not_found("BLOB_UNKNOWN");
  const auto range = request[http::field::range];
  return blob_answer(store, *digest, "application/octet-stream", {range.data(), range.size()});
}

http::response<http::empty_body> head_of(const Answer& answer, unsigned version, bool keep_alive) {
  http::response<http::empty_body> head(answer.status, version);
  head.set(http::field::server, "mutua-peer");
  head.set(http::field::content_type, answer.content_type);
  head.set(http::field::accept_ranges, "bytes");
  head.set("Docker-Distribution-API-Version", "registry/2.0");
  if (!answer.digest.empty()) head.set("Docker-Content-Digest", answer.digest);
  if (!answer.content_range.empty()) head.set(http::field::content_range, answer.content_range);
  head.content_length(answer.length);
  head.keep_alive(keep_alive);
  return head;
}

// Sends the body. False where the connection is of no more use.
asio::awaitable<bool> send_body(beast::tcp_stream& stream, const Answer& answer) {
  if (!answer.blob.fd) {
    stream.expires_after(kSendTimeout);
    auto [problem, count] = co_await asio::async_write(stream, asio::buffer(answer.body), kNoThrow);
    co_return !problem;
  }
  Bytes chunk(kChunkBytes);
  std::uint64_t sent = 0;
  while (sent < answer.length) {
    const std::size_t wanted = std::min<std::uint64_t>(chunk.size(), answer.length - sent);
    const ssize_t got = ::pread(answer.blob.fd.get(), chunk.data(), wanted,
                                static_cast<off_t>(answer.first + sent));
    if (got <= 0) co_return false;
    stream.expires_after(kSendTimeout);
    auto [problem, count] = co_await asio::async_write(
        stream, asio::buffer(chunk.data(), static_cast<std::size_t>(got)), kNoThrow);
    if (problem) co_return false;
    sent += static_cast<std::uint64_t>(got);
  }
  co_return true;
}

// The root of every coroutine: what a library throws ends that connection alone.
void log_failure(const std::exception_ptr& thrown) {
  if (thrown) log::error("exchange.connection_failed");
}

class BeastServer final : public ExchangeServer {
 public:
  BeastServer(const BlobStore& store, const Offers& offers) : store_(store), offers_(offers) {}

  ~BeastServer() override {
    loop_.stop();
    if (thread_.joinable()) thread_.join();
  }

  Result<void> listen(std::vector<SocketAddress> addresses) {
    for (SocketAddress& address : addresses) {
      if (address.port() == 0) address.set_port(port_);
      auto acceptor = std::make_shared<tcp::acceptor>(loop_);
      boost::system::error_code problem;
      const auto bytes = address.address_octets();
      const auto ip = asio::ip::make_address(address.address_to_text(), problem);
      const tcp::endpoint endpoint(ip, address.port());
      if (!problem) acceptor->open(endpoint.protocol(), problem);
      if (!problem) acceptor->set_option(tcp::acceptor::reuse_address(true), problem);
      if (!problem && bytes.size() == 16) acceptor->set_option(asio::ip::v6_only(true), problem);
      if (!problem) acceptor->bind(endpoint, problem);
      if (!problem) acceptor->listen(asio::socket_base::max_listen_connections, problem);
      if (problem) {
        return Error("exchange listen at " + address.to_text() + ": " + problem.message());
      }
      port_ = acceptor->local_endpoint(problem).port();
      asio::co_spawn(loop_, accept(std::move(acceptor)), log_failure);
    }
    thread_ = std::thread([this] { loop_.run(); });
    return {};
  }

  std::uint16_t port() const override { return port_; }

 private:
  asio::awaitable<void> accept(std::shared_ptr<tcp::acceptor> acceptor) {
    for (;;) {
      auto [problem, socket] = co_await acceptor->async_accept(kNoThrow);
      if (problem) {
        // Out of descriptors, most likely: connections end by their deadlines.
        asio::steady_timer pause(loop_, std::chrono::milliseconds(100));
        co_await pause.async_wait(kNoThrow);
        continue;
      }
      boost::system::error_code gone;
      const auto address = socket.remote_endpoint(gone).address();
      // Too many: closed at once, so that those who are served keep their share.
      if (gone || connections_ >= kMostConnections || by_address_[address] >= kMostFromOneAddress) {
        continue;
      }
      asio::co_spawn(loop_, serve(beast::tcp_stream(std::move(socket)), address), log_failure);
    }
  }

  // Counts one connection, however its coroutine ends.
  class Guest {
   public:
    Guest(BeastServer& server, asio::ip::address address) : server_(server), address_(address) {
      ++server_.connections_;
      ++server_.by_address_[address_];
    }
    ~Guest() {
      --server_.connections_;
      if (--server_.by_address_[address_] == 0) server_.by_address_.erase(address_);
    }
    Guest(const Guest&) = delete;
    Guest& operator=(const Guest&) = delete;

   private:
    BeastServer& server_;
    asio::ip::address address_;
  };

  asio::awaitable<void> serve(beast::tcp_stream stream, asio::ip::address address) {
    const Guest guest(*this, address);
    beast::flat_buffer buffer(kLargestRequestBytes);
    while (co_await serve_one(stream, buffer)) {
    }
  }

  // One request and its answer. False where the connection shall end.
  asio::awaitable<bool> serve_one(beast::tcp_stream& stream, beast::flat_buffer& buffer) {
    http::request_parser<http::empty_body> parser;
    parser.header_limit(kLargestRequestBytes);
    parser.body_limit(0);
    stream.expires_after(kRequestTimeout);
    auto [problem, count] = co_await http::async_read(stream, buffer, parser, kNoThrow);
    if (problem) co_return false;
    const auto& request = parser.get();
    const Answer answer = answer_to(request, store_, offers_);
    const bool keep_alive = request.keep_alive();
    http::response<http::empty_body> head = head_of(answer, request.version(), keep_alive);
    http::response_serializer<http::empty_body> serializer(head);
    stream.expires_after(kSendTimeout);
    auto [head_problem, head_count] =
        co_await http::async_write_header(stream, serializer, kNoThrow);
    if (head_problem) co_return false;
    if (request.method() != http::verb::head) {
      const bool sent = co_await send_body(stream, answer);
      if (!sent) co_return false;
    }
    co_return keep_alive;
  }

  const BlobStore& store_;
  const Offers& offers_;
  std::uint16_t port_ = 0;
  std::size_t connections_ = 0;
  std::map<asio::ip::address, std::size_t> by_address_;
  asio::io_context loop_{1};  // after the counters: its coroutines count down when it goes
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<ExchangeServer>> ExchangeServer::create(std::vector<SocketAddress> addresses,
                                                               const BlobStore& store,
                                                               const Offers& offers) {
  auto server = std::make_unique<BeastServer>(store, offers);
  TRY(server->listen(std::move(addresses)));
  return std::unique_ptr<ExchangeServer>(std::move(server));
}

}  // namespace mutua::peer
