#include "authority/tap/tap.h"

#include <chrono>
#include <utility>

#include "base/log.h"
#include "base/thread_scheduling.h"

namespace mutua::authority {
namespace {

// Nobody is woken by those who answer. In this time a ring fills at 800 MB a second and no less.
constexpr std::chrono::milliseconds kPause(5);
constexpr std::chrono::seconds kLookPause(1);
constexpr std::size_t kWriteSize = 256 * 1024;  // octets of frames that are written together

}  // namespace

Tap::Tap(TapConfig config)
    : config_(std::move(config)), encoder_(config_.identity, config_.version) {}

Tap::~Tap() { stop(); }

TapRing& Tap::add_ring() {
  BASE_ASSERT(!thread_.joinable());
  return rings_.emplace_back();
}

void Tap::record_update(const TapExchange& exchange) {
  const std::lock_guard lock(update_mutex_);
  updates_.record(exchange);
  updates_.publish();
}

void Tap::start() {
  thread_ = std::thread([this] { run(); });
}

void Tap::stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true);
  thread_.join();
}

std::uint64_t Tap::dropped() const {
  std::uint64_t total = unread_.value() + updates_.dropped().value();
  for (const TapRing& ring : rings_) total += ring.dropped().value();
  return total;
}

void Tap::run() {
  take_only_what_is_left();
  while (!stopping_.load()) {
    if (!stream_) connect();
    tell();
    std::this_thread::sleep_for(kPause);
  }
  tell();
  stream_.reset();
}

void Tap::connect() {
  const SteadyTime now = std::chrono::steady_clock::now();
  if (now < next_look_) return;
  next_look_ = now + kLookPause;
  auto stream = FrameStream::open(config_.target, config_.path, stopping_);
  if (stream.ok()) {
    stream_ = *std::move(stream);
    log::info("dnstap.ready", {{"path", config_.path.string()}});
  } else if (was_there_) {
    log::warning("dnstap.no_reader", {{"error", stream.error().message()}});
  }
  was_there_ = stream_ != nullptr;
}

void Tap::tell() {
  const auto take = [this](const TapExchange& exchange) {
    if (!stream_) return unread_.add(1);
    encoder_.add(exchange);
    ++encoded_;
    if (encoder_.octets() >= kWriteSize) write();
  };
  for (TapRing& ring : rings_) ring.drain(take);
  updates_.drain(take);
  if (encoded_ > 0) write();
}

void Tap::write() {
  const auto written = stream_->write(encoder_.frames());
  (written.ok() ? told_ : unread_).add(encoded_);
  encoded_ = 0;
  encoder_.clear();
  if (written.ok()) return;
  log::warning("dnstap.reader_gone", {{"error", written.error().message()}});
  stream_.reset();
}

}  // namespace mutua::authority
