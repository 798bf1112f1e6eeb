#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>

#include "base/unique_fd.h"
#include "peer/exchange/fetch.h"
#include "peer/exchange/http_client.h"
#include "peer/exchange/range.h"
#include "peer/exchange/request_target.h"
#include "peer/exchange/server.h"
#include "peer/snapshot/ssh_signature.h"
#include "support/temporary_folder.h"

namespace mutua::peer {
namespace {

using ::testing::HasSubstr;

SocketAddress loopback(std::uint16_t port) {
  return SocketAddress::parse("127.0.0.1", port).value();
}

// A source that sends fixed octets, whatever is asked, once for each connection.
class ScriptedSource {
 public:
  explicit ScriptedSource(std::string answer) : answer_(std::move(answer)) {
    listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const SocketAddress any = loopback(0);
    EXPECT_EQ(::bind(listener_.get(), any.data(), any.size()), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&bound), &size);
    address_ = SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&bound), size);
    thread_ = std::thread([this] { serve(); });
  }
  ~ScriptedSource() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  Source source() const { return {"scripted", address_}; }
  int requests() const { return requests_; }

 private:
  void serve() {
    for (;;) {
      const UniqueFd connection(::accept(listener_.get(), nullptr, nullptr));
      if (!connection) return;
      std::string request;
      char chunk[1024];
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t count = ::read(connection.get(), chunk, sizeof chunk);
        if (count <= 0) break;
        request.append(chunk, static_cast<std::size_t>(count));
      }
      ++requests_;
      [[maybe_unused]] const auto sent =
          ::send(connection.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL);
      ::shutdown(connection.get(), SHUT_WR);
    }
  }

  std::string answer_;
  UniqueFd listener_;
  SocketAddress address_;
  std::atomic<int> requests_{0};
  std::thread thread_;
};

std::string http_answer(int status, std::size_t length, const std::string& body,
                        const std::string& more = "") {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: " + std::to_string(length) +
         "\r\n" + more + "\r\n" + body;
}

class Exchange : public ::testing::Test {
 protected:
  Exchange()
      : offered_(BlobStore::open(folder_ / "offered").value()),
        fetched_(BlobStore::open(folder_ / "fetched").value()) {
    for (std::size_t index = 0; index < content_.size(); ++index) {
      content_[index] = static_cast<std::uint8_t>(index * 7 / 3);
    }
    digest_ = offered_.put(content_).value();
    secret_ = offered_.put(Bytes{1, 2, 3}).value();
    Offer offer;
    offer.blobs = {digest_};
    offers_.set("blog.fed.test", offer);
    server_ = ExchangeServer::create({loopback(0)}, offered_, offers_).value();
  }

  Source honest() const { return {"honest", loopback(server_->port())}; }
  Descriptor blob() const {
    return {std::string(media_type::disk_delta), digest_, content_.size(), {}};
  }
  Result<void> fetch(std::vector<Source> sources) {
    Fetcher fetcher(fetched_, "blog.fed.test", std::move(sources),
                    [this](const FetchProgress& progress) { last_ = progress; }, {});
    return fetcher.fetch_blob(blob());
  }
  HttpResponse get(const std::string& target, std::uint64_t first_byte = 0) const {
    HttpRequest request;
    request.address = loopback(server_->port());
    request.host = "test";
    request.target = target;
    request.first_byte = first_byte;
    return http_get(request, 1 << 20).value();
  }
  std::string blob_path() const { return "/v2/blog.fed.test/blobs/" + digest_.to_text(); }

  test::TemporaryFolder folder_;
  BlobStore offered_, fetched_;
  Bytes content_ = Bytes(500'000);
  trust::Digest digest_, secret_;
  Offers offers_;
  std::unique_ptr<ExchangeServer> server_;
  FetchProgress last_;
};

TEST_F(Exchange, ABlobIsFetchedWithProgress) {
  fetch({honest()}).value();
  EXPECT_EQ(fetched_.read(digest_, 1 << 20).value(), content_);
  EXPECT_EQ(last_.done_bytes, content_.size());
  EXPECT_EQ(last_.object, "disk delta");
}

TEST_F(Exchange, AnInterruptedFetchIsResumedByRange) {
  {
    BlobWriter writer = fetched_.begin(digest_, content_.size()).value();
    writer.write(BytesView(content_).first(400'000)).value();
  }
  // Only the rest is right: a source that sends it and nothing else proves that it was asked for.
  const std::string rest(as_text(BytesView(content_).subspan(400'000)));
  ScriptedSource source(
      http_answer(206, rest.size(), rest, "Content-Range: bytes 400000-499999/500000\r\n"));
  fetch({source.source()}).value();
  EXPECT_TRUE(fetched_.has(digest_));
  EXPECT_EQ(source.requests(), 1);
}

TEST_F(Exchange, AWrongPartialFileIsFetchedAgainWhole) {
  {
    BlobWriter writer = fetched_.begin(digest_, content_.size()).value();
    writer.write(Bytes(400'000, 0xee)).value();
  }
  fetch({honest()}).value();
  EXPECT_EQ(fetched_.read(digest_, 1 << 20).value(), content_);
}

TEST_F(Exchange, ACorruptedBlobIsDiscardedAndAnotherSourceTaken) {
  Bytes wrong = content_;
  wrong[499'999] ^= 1;
  ScriptedSource liar(http_answer(200, wrong.size(), std::string(as_text(wrong))));
  fetch({liar.source(), honest()}).value();
  EXPECT_EQ(liar.requests(), 1);
  EXPECT_EQ(fetched_.read(digest_, 1 << 20).value(), content_);
}

TEST_F(Exchange, ABrokenTransferGoesOnAtTheNextSource) {
  const std::string half(as_text(BytesView(content_).first(250'000)));
  ScriptedSource broken(http_answer(200, content_.size(), half));
  fetch({broken.source(), honest()}).value();
  EXPECT_EQ(fetched_.read(digest_, 1 << 20).value(), content_);
}

TEST_F(Exchange, MoreThanTheManifestsSizeIsNotTaken) {
  const std::string longer = std::string(as_text(content_)) + "more";
  ScriptedSource source(http_answer(200, longer.size(), longer));
  EXPECT_THAT(fetch({source.source()}).error().message(), HasSubstr("scripted at 127.0.0.1"));
  EXPECT_FALSE(fetched_.has(digest_));
}

TEST_F(Exchange, AnotherRangeThanAskedIsRefused) {
  {
    BlobWriter writer = fetched_.begin(digest_, content_.size()).value();
    writer.write(BytesView(content_).first(10)).value();
  }
  ScriptedSource source(http_answer(206, 3, "abc", "Content-Range: bytes 0-2/500000\r\n"));
  EXPECT_THAT(fetch({source.source()}).error().message(), HasSubstr("another range"));
}

TEST_F(Exchange, TheErrorNamesEverySourceAndItsFault) {
  ScriptedSource missing(http_answer(404, 0, ""));
  ScriptedSource garbage("no http at all\r\n\r\n");
  const std::string message = fetch({missing.source(), garbage.source()}).error().message();
  EXPECT_THAT(message, HasSubstr("status 404"));
  EXPECT_THAT(message, HasSubstr(garbage.source().address.to_text()));
  EXPECT_THAT(fetch({}).error().message(), HasSubstr("no peer offers it"));
}

TEST_F(Exchange, OnlyOfferedBlobsOfOfferedServicesAreReadable) {
  EXPECT_EQ(get(blob_path()).head.status, 200U);
  EXPECT_EQ(get("/v2/blog.fed.test/blobs/" + secret_.to_text()).head.status, 404U);
  EXPECT_EQ(get("/v2/shop.fed.test/blobs/" + digest_.to_text()).head.status, 404U);
  EXPECT_EQ(get("/v2/blog.fed.test/blobs/../../../etc/passwd").head.status, 400U);
  EXPECT_EQ(get("/etc/passwd").head.status, 404U);
  EXPECT_EQ(get("/v2/").head.status, 200U);
  offers_.remove("blog.fed.test");
  EXPECT_EQ(get(blob_path()).head.status, 404U);
}

TEST_F(Exchange, ARangeGivesThePartAndItsPlace) {
  const HttpResponse part = get(blob_path(), 499'990);
  EXPECT_EQ(part.head.status, 206U);
  EXPECT_EQ(part.head.range_start, 499'990U);
  EXPECT_EQ(part.body, to_bytes(BytesView(content_).subspan(499'990)));
  EXPECT_EQ(get(blob_path(), 500'000).head.status, 416U);
}

TEST_F(Exchange, AStoppedFetchEndsAtOnce) {
  std::stop_source stop;
  stop.request_stop();
  Fetcher fetcher(fetched_, "blog.fed.test", {honest()}, nullptr, stop.get_token());
  EXPECT_THAT(fetcher.fetch_blob(blob()).error().message(), HasSubstr("stopped"));
}

TEST(Range, IsReadAsRfc9110Says) {
  using Kind = ByteRange::Kind;
  struct Case {
    const char* header;
    Kind kind;
    std::uint64_t first, length;
  };
  for (const Case& one : std::vector<Case>{{"", Kind::whole, 0, 100},
                                           {"bytes=0-", Kind::part, 0, 100},
                                           {"bytes=10-19", Kind::part, 10, 10},
                                           {"bytes=90-200", Kind::part, 90, 10},
                                           {"bytes=-5", Kind::part, 95, 5},
                                           {"bytes=-500", Kind::part, 0, 100},
                                           {"bytes=-0", Kind::unsatisfiable, 0, 0},
                                           {"bytes=100-", Kind::unsatisfiable, 0, 0},
                                           {"bytes=5-4", Kind::whole, 0, 100},
                                           {"bytes=1-2,4-5", Kind::whole, 0, 100},
                                           {"lines=1-2", Kind::whole, 0, 100},
                                           {"bytes=99999999999999999999-", Kind::whole, 0, 100}}) {
    const ByteRange range = parse_range(one.header, 100);
    EXPECT_EQ(range.kind, one.kind) << one.header;
    EXPECT_EQ(range.first, one.first) << one.header;
    EXPECT_EQ(range.length, one.length) << one.header;
  }
}

TEST(RequestTarget, OnlyThePullSideIsUnderstood) {
  const auto blob = parse_request_target("/v2/blog.fed.test/blobs/sha256:00?x=1");
  ASSERT_TRUE(blob.has_value());
  EXPECT_EQ(blob->kind, RequestTarget::Kind::blob);
  EXPECT_EQ(blob->service, "blog.fed.test");
  EXPECT_EQ(blob->reference, "sha256:00");
  for (const char* target :
       {"", "/", "/v1/", "/v2/a", "/v2/a/blobs", "/v2//blobs/x", "/v2/../blobs/x", "/v2/A/blobs/x",
        "/v2/a%2f/blobs/x", "/v2/a/uploads/x"}) {
    EXPECT_FALSE(parse_request_target(target).has_value()) << target;
  }
}

}  // namespace
}  // namespace mutua::peer
