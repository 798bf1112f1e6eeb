#include "resolver/event_loop/signal_watch.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <csignal>

namespace mutua::resolver {

Result<std::unique_ptr<SignalWatch>> SignalWatch::create(EventLoop& loop,
                                                         std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  if (const int problem = pthread_sigmask(SIG_BLOCK, &set, nullptr); problem != 0) {
    return errno_error(problem, "block signals");
  }
  std::signal(SIGPIPE, SIG_IGN);
  UniqueFd fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return errno_error(errno, "signalfd");
  auto watch = std::unique_ptr<SignalWatch>(new SignalWatch(loop, std::move(fd)));
  TRY(loop.add(watch->fd_.get(), EPOLLIN, *watch));
  return watch;
}

void SignalWatch::on_ready(std::uint32_t) { loop_.stop(); }

}  // namespace mutua::resolver
