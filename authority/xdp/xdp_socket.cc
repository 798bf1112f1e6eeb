#include "authority/xdp/xdp_socket.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <xdp/xsk.h>

#include <cerrno>
#include <utility>
#include <vector>

namespace mutua::authority {
namespace {

// Powers of two, as rings want them. Some milliseconds of questions at full speed may wait.
constexpr std::uint32_t kFramesIn = 4096, kFramesOut = 1024;
constexpr std::size_t kMemorySize = (kFramesIn + kFramesOut) * XdpSocket::kFrameSize;
// Without a driver's help the kernel sends at most 32 frames for each call.
constexpr unsigned kMostCalls = 2 * kFramesOut / 32;

class Memory {
 public:
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
    if (start_) ::munmap(start_, kMemorySize);
  }
  Result<void> map() {
    void* start =
        ::mmap(nullptr, kMemorySize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) return errno_error(errno, "mmap for AF_XDP");
    start_ = static_cast<std::uint8_t*>(start);
    return {};
  }
  std::uint8_t* at(std::uint64_t offset) const { return start_ + offset; }

 private:
  std::uint8_t* start_ = nullptr;
};

class MappedXdpSocket final : public XdpSocket {
 public:
  ~MappedXdpSocket() override {
    if (socket_) xsk_socket__delete(socket_);
    if (umem_) xsk_umem__delete(umem_);
  }

  Result<void> open(const std::string& interface, std::uint32_t queue) {
    TRY(memory_.map());
    xsk_umem_config memory{};
    memory.fill_size = kFramesIn;
    memory.comp_size = kFramesOut;
    memory.frame_size = kFrameSize;
    int failed = xsk_umem__create(&umem_, memory_.at(0), kMemorySize, &fill_, &sent_, &memory);
    if (failed) return errno_error(-failed, "register memory for AF_XDP");
    xsk_socket_config config{};
    config.rx_size = kFramesIn;
    config.tx_size = kFramesOut;
    config.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD;
    config.bind_flags = XDP_USE_NEED_WAKEUP;
    failed =
        xsk_socket__create(&socket_, interface.c_str(), queue, umem_, &came_, &to_send_, &config);
    if (failed) return errno_error(-failed, "open AF_XDP on " + interface);
    std::uint32_t first = 0;
    const bool has_room = xsk_ring_prod__reserve(&fill_, kFramesIn, &first) == kFramesIn;
    BASE_ASSERT(has_room);
    for (std::uint32_t i = 0; i < kFramesIn; ++i)
      *xsk_ring_prod__fill_addr(&fill_, first + i) = std::uint64_t{i} * kFrameSize;
    xsk_ring_prod__submit(&fill_, kFramesIn);
    for (std::uint32_t i = 0; i < kFramesOut; ++i)
      free_.push_back(std::uint64_t{kFramesIn + i} * kFrameSize);
    return {};
  }

  int descriptor() const override { return xsk_socket__fd(socket_); }

  void wait(std::chrono::milliseconds longest) override {
    pollfd ready{descriptor(), POLLIN, 0};
    // A failure is an early end of the wait.
    [[maybe_unused]] const int count = ::poll(&ready, 1, static_cast<int>(longest.count()));
  }

  unsigned receive(std::span<BytesView> frames) override {
    std::uint32_t first = 0;
    held_ = xsk_ring_cons__peek(&came_, static_cast<std::uint32_t>(frames.size()), &first);
    for (std::uint32_t i = 0; i < held_; ++i) {
      const xdp_desc& frame = *xsk_ring_cons__rx_desc(&came_, first + i);
      frames[i] = {memory_.at(frame.addr), frame.len};
    }
    first_held_ = first;
    return held_;
  }

  void release() override {
    std::uint32_t first = 0;
    // There is room for every frame that there is.
    const std::uint32_t places = xsk_ring_prod__reserve(&fill_, held_, &first);
    BASE_ASSERT(places == held_);
    for (std::uint32_t i = 0; i < held_; ++i)
      *xsk_ring_prod__fill_addr(&fill_, first + i) =
          xsk_ring_cons__rx_desc(&came_, first_held_ + i)->addr / kFrameSize * kFrameSize;
    xsk_ring_prod__submit(&fill_, held_);
    xsk_ring_cons__release(&came_, held_);
    held_ = 0;
  }

  std::span<std::uint8_t> place() override {
    if (free_.empty()) take_back();
    if (free_.empty()) return {};
    return {memory_.at(free_.back()), kFrameSize};
  }

  void send(std::size_t size) override {
    std::uint32_t at = 0;
    // The ring has as many places as there are frames to send.
    const bool has_room = xsk_ring_prod__reserve(&to_send_, 1, &at) == 1;
    BASE_ASSERT(has_room && !free_.empty());
    *xsk_ring_prod__tx_desc(&to_send_, at) = {free_.back(), static_cast<std::uint32_t>(size), 0};
    free_.pop_back();
    xsk_ring_prod__submit(&to_send_, 1);
  }

  void flush() override {
    for (unsigned calls = 0; calls < kMostCalls; ++calls) {
      take_back();
      if (free_.size() == kFramesOut || !xsk_ring_prod__needs_wakeup(&to_send_)) return;
      if (::sendto(descriptor(), nullptr, 0, MSG_DONTWAIT, nullptr, 0) < 0 && errno != EAGAIN)
        return;  // the interface is full or down; what waits goes with the next
    }
  }

 private:
  // What the kernel has sent is free again.
  void take_back() {
    std::uint32_t first = 0;
    const std::uint32_t count = xsk_ring_cons__peek(&sent_, kFramesOut, &first);
    for (std::uint32_t i = 0; i < count; ++i)
      free_.push_back(*xsk_ring_cons__comp_addr(&sent_, first + i));
    xsk_ring_cons__release(&sent_, count);
  }

  Memory memory_;
  xsk_umem* umem_ = nullptr;
  xsk_socket* socket_ = nullptr;
  xsk_ring_prod fill_{}, to_send_{};
  xsk_ring_cons came_{}, sent_{};
  std::uint32_t held_ = 0, first_held_ = 0;
  std::vector<std::uint64_t> free_;  // of the frames to send
};

}  // namespace

Result<std::unique_ptr<XdpSocket>> XdpSocket::create(const std::string& interface,
                                                     std::uint32_t queue) {
  auto socket = std::make_unique<MappedXdpSocket>();
  TRY(socket->open(interface, queue));
  return std::unique_ptr<XdpSocket>(std::move(socket));
}

}  // namespace mutua::authority
