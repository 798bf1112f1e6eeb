#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <exception>
#include <list>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "control/control.h"
#include "control/line_stream.h"
#include "control/unix_socket.h"

namespace mutua::control {
namespace {

constexpr int kMostRequests = 32;
// Those beyond kMostRequests are read and told so; a connection closed unread would only be reset.
constexpr std::size_t kMostConnections = 64;
constexpr std::chrono::seconds kLineTimeout{10};

SteadyTime line_deadline() { return std::chrono::steady_clock::now() + kLineTimeout; }

Result<UniqueFd> listen_at(const std::filesystem::path& path, mode_t mode) {
  const std::string operation = "control socket " + path.string();
  const sockaddr_un address = TRY(unix_address(path));
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return errno_error(errno, operation);
  if (::connect(probe.get(), generic, sizeof address) == 0 || errno == EAGAIN) {
    return Error(operation + ": another daemon answers there");
  }
  struct stat existing {};
  if (::lstat(path.c_str(), &existing) == 0) {
    if (!S_ISSOCK(existing.st_mode))
      return Error(operation + ": a file that is no socket is there");
    ::unlink(path.c_str());
  }
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno_error(errno, operation);
  // Between bind and chmod nobody else may connect: the socket is not listening yet.
  if (::bind(fd.get(), generic, sizeof address) != 0) return errno_error(errno, operation);
  if (::chmod(path.c_str(), mode) != 0) return errno_error(errno, operation);
  if (::listen(fd.get(), kMostRequests) != 0) return errno_error(errno, operation);
  return fd;
}

// One connection and the thread that serves it.
struct Session {
  std::thread thread;
  int fd = -1;  // for shutdown() while `open`; owned by the thread's stream
  bool open = true;
};

class UnixServer final : public Server {
 public:
  UnixServer(UniqueFd listener, UniqueFd stop, std::filesystem::path path, Handler handler)
      : listener_(std::move(listener)),
        stop_(std::move(stop)),
        path_(std::move(path)),
        handler_(std::move(handler)),
        acceptor_([this] { accept_loop(); }) {}

  ~UnixServer() override {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(stop_.get(), &one, sizeof one);
    acceptor_.join();
    ::unlink(path_.c_str());
    {
      const std::lock_guard lock(mutex_);
      for (Session& session : sessions_) {
        if (session.open) ::shutdown(session.fd, SHUT_RDWR);
      }
    }
    // Nobody adds sessions any more; handlers end by themselves, their answers go nowhere.
    for (Session& session : sessions_) session.thread.join();
  }

 private:
  void accept_loop() {
    for (;;) {
      pollfd entries[] = {{listener_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
      if (::poll(entries, 2, -1) < 0 && errno != EINTR) return;
      if (entries[1].revents != 0) return;
      UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (fd) admit(std::move(fd));
    }
  }

  void admit(UniqueFd fd) {
    const std::lock_guard lock(mutex_);
    std::erase_if(sessions_, [](Session& session) {
      if (session.open) return false;
      session.thread.join();
      return true;
    });
    if (sessions_.size() >= kMostConnections) return;
    Session& session = sessions_.emplace_back();
    session.fd = fd.get();
    session.thread = std::thread([this, &session, connection = std::move(fd)]() mutable {
      LineStream stream(std::move(connection));
      serve(stream);
      const std::lock_guard closing(mutex_);
      session.open = false;
      // Closed under the lock: the destructor never shuts down a number that was given away.
      stream = LineStream(UniqueFd());
    });
  }

  void serve(LineStream& stream) {
    auto request = stream.read(kLargestRequestBytes, line_deadline());
    if (request.ok() && !request->has_value()) return;
    const Result<boost::json::object> result =
        request.ok() ? run(**request, stream) : request.error().in("request");
    const boost::json::object answer =
        result.ok() ? boost::json::object{{"result", *result}}
                    : boost::json::object{{"error", result.error().message()}};
    if (auto written = stream.write(answer, line_deadline()); !written.ok()) {
      log::debug("control.answer_lost", {{"reason", written.error().message()}});
    }
  }

  Result<boost::json::object> run(const boost::json::object& request, LineStream& stream) {
    // Progress may come from another thread of the handler.
    std::mutex writing;
    const Progress progress = [&](const boost::json::object& object) {
      const std::lock_guard lock(writing);
      [[maybe_unused]] const auto ignored = stream.write({{"progress", object}}, line_deadline());
    };
    struct Running {
      explicit Running(std::atomic<int>& running_now) : count(running_now), number(++running_now) {}
      ~Running() { --count; }
      std::atomic<int>& count;
      const int number;
    } running(running_);
    if (running.number > kMostRequests) return Error("busy");
    try {
      return handler_(request, progress);
    } catch (const std::exception& problem) {
      // Boost.JSON throws where a request's field has another type than the handler expects.
      return errorf("bad request: %s", problem.what());
    }
  }

  UniqueFd listener_;
  UniqueFd stop_;
  std::filesystem::path path_;
  Handler handler_;
  std::atomic<int> running_{0};
  std::mutex mutex_;
  std::list<Session> sessions_;
  std::thread acceptor_;  // last: starts when everything above stands
};

}  // namespace

Result<std::unique_ptr<Server>> Server::create(const std::filesystem::path& path, mode_t mode,
                                               Handler handler) {
  UniqueFd listener = TRY(listen_at(path, mode));
  UniqueFd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop) return errno_error(errno, "eventfd");
  return std::unique_ptr<Server>(
      std::make_unique<UnixServer>(std::move(listener), std::move(stop), path, std::move(handler)));
}

}  // namespace mutua::control
