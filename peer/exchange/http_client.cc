#include "peer/exchange/http_client.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <exception>

#include "peer/exchange/range.h"

namespace mutua::peer {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr std::size_t kLargestHeadBytes = 16 * 1024;
constexpr std::size_t kChunkBytes = 128 * 1024;
constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

HttpHead head_of(const http::response_parser<http::buffer_body>& parser) {
  HttpHead head;
  head.status = parser.get().result_int();
  if (const auto length = parser.content_length()) head.content_length = *length;
  const auto range = parser.get()[http::field::content_range];
  head.range_start = parse_content_range_start({range.data(), range.size()});
  return head;
}

// Lives on the stack of http_get, longer than the loop that runs its coroutine.
class Get {
 public:
  Get(const HttpRequest& request, std::uint64_t limit_bytes, const HttpSink& sink)
      : request_(request), limit_bytes_(limit_bytes), sink_(sink) {}

  Result<HttpHead> run(std::stop_token stop) {
    asio::io_context loop(1);
    const std::stop_callback on_stop(stop, [&loop] { loop.stop(); });
    asio::co_spawn(loop, fetch(loop), [this](const std::exception_ptr& thrown) {
      if (thrown) result_ = Error("the HTTP client failed");
    });
    loop.run_for(request_.total_timeout);
    if (stop.stop_requested()) return Error("stopped");
    return result_;
  }

 private:
  asio::awaitable<void> fetch(asio::io_context& loop) {
    beast::tcp_stream stream(loop);
    boost::system::error_code bad_address;
    const auto ip = asio::ip::make_address(request_.address.address_to_text(), bad_address);
    if (bad_address) co_return fail("address", bad_address);
    stream.expires_after(request_.connect_timeout);
    auto [connecting] = co_await stream.async_connect(
        asio::ip::tcp::endpoint(ip, request_.address.port()), kNoThrow);
    if (connecting) co_return fail("connect", connecting);

    http::request<http::empty_body> message(http::verb::get, request_.target, 11);
    message.set(http::field::host, request_.host);
    message.set(http::field::user_agent, "mutua-peer");
    message.set(http::field::connection, "close");
    if (request_.first_byte > 0) {
      message.set(http::field::range, "bytes=" + std::to_string(request_.first_byte) + "-");
    }
    stream.expires_after(request_.idle_timeout);
    auto [sending, sent] = co_await http::async_write(stream, message, kNoThrow);
    if (sending) co_return fail("send", sending);

    http::response_parser<http::buffer_body> parser;
    parser.header_limit(kLargestHeadBytes);
    parser.body_limit(limit_bytes_);
    beast::flat_buffer buffer(kLargestHeadBytes + kChunkBytes);
    stream.expires_after(request_.idle_timeout);
    auto [reading, read] = co_await http::async_read_header(stream, buffer, parser, kNoThrow);
    if (reading) co_return fail("answer", reading);
    co_await read_body(stream, buffer, parser);
  }

  asio::awaitable<void> read_body(beast::tcp_stream& stream, beast::flat_buffer& buffer,
                                  http::response_parser<http::buffer_body>& parser) {
    const HttpHead head = head_of(parser);
    Bytes chunk(kChunkBytes);
    while (!parser.is_done()) {
      parser.get().body().data = chunk.data();
      parser.get().body().size = chunk.size();
      stream.expires_after(request_.idle_timeout);
      auto [problem, count] = co_await http::async_read(stream, buffer, parser, kNoThrow);
      if (problem && problem != http::error::need_buffer) co_return fail("body", problem);
      const std::size_t got = chunk.size() - parser.get().body().size;
      auto taken = sink_(head, BytesView(chunk).first(got));
      if (!taken.ok()) {
        result_ = taken.error();
        co_return;
      }
    }
    result_ = head;
  }

  void fail(const char* step, const boost::system::error_code& problem) {
    result_ = Error(std::string(step) + ": " + problem.message());
  }

  const HttpRequest& request_;
  const std::uint64_t limit_bytes_;
  const HttpSink& sink_;
  Result<HttpHead> result_ = Error("timed out");
};

}  // namespace

Result<HttpHead> http_get(const HttpRequest& request, std::uint64_t limit_bytes,
                          const HttpSink& sink, std::stop_token stop) {
  auto result = Get(request, limit_bytes, sink).run(stop);
  if (result.ok()) return result;
  return result.error().in("GET http://" + request.address.to_text() + request.target);
}

Result<HttpResponse> http_get(const HttpRequest& request, std::uint64_t limit_bytes,
                              std::stop_token stop) {
  HttpResponse response;
  const HttpSink sink = [&](const HttpHead&, BytesView piece) -> Result<void> {
    append(response.body, piece);
    return {};
  };
  response.head = TRY(http_get(request, limit_bytes, sink, stop));
  return response;
}

}  // namespace mutua::peer
