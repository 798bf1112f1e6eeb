#include "peer/scrapbook/running_machine.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace mutua::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr seconds kStartTimeout{20};
// Beyond the deadline that the guest's kernel has: for the host's part of a take or a stop.
constexpr seconds kSlack{10};

// Hands the machine its events until `done` or the deadline.
template <typename Done>
bool wait_until(vm::Machine& machine, milliseconds deadline, const Done& done) {
  const auto end = steady_clock::now() + deadline;
  while (!done()) {
    const auto left = std::chrono::ceil<milliseconds>(end - steady_clock::now()).count();
    if (left <= 0 || machine.state() == vm::State::exited) return done();
    pollfd readable{machine.event_fd(), POLLIN, 0};
    (void)::poll(&readable, 1, static_cast<int>(left));
    machine.handle_readable();
  }
  return true;
}

}  // namespace

RunningMachine::RunningMachine(vm::Engine& engine)
    : engine_(engine), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Result<std::unique_ptr<RunningMachine>> RunningMachine::start(vm::Engine& engine,
                                                              vm::MachineSpec spec) {
  std::unique_ptr<RunningMachine> running(new RunningMachine(engine));
  std::promise<Result<void>> started;
  auto outcome = started.get_future();
  running->status_.agent = spec.agent;
  running->thread_ = std::jthread([&running = *running, spec = std::move(spec),
                                   started = std::move(started)](std::stop_token stop) mutable {
    running.run(std::move(stop), spec, started);
  });
  TRY(outcome.get());
  return running;
}

RunningMachine::~RunningMachine() {
  thread_.request_stop();
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
}

RunningMachine::Status RunningMachine::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

void RunningMachine::note(const vm::Machine& machine) {
  const std::lock_guard lock(mutex_);
  status_.runs = machine.state() == vm::State::running;
  status_.is_frozen = status_.is_frozen && status_.runs;
  status_.pid = machine.pid();
  status_.ports.clear();
  for (const vm::BoundPort& port : machine.ports()) {
    if (port.guest_port == vm::kAgentPort) {
      status_.agent_port = port.host_port;
    } else {
      status_.ports.push_back(port);
    }
  }
  status_.exit = machine.exit();
}

void RunningMachine::run(std::stop_token stop, const vm::MachineSpec& spec,
                         std::promise<Result<void>>& started) {
  auto machine = engine_.start(spec);
  if (!machine.ok()) return started.set_value(machine.error());
  const auto running = (*machine)->wait_for(vm::State::running, kStartTimeout);
  note(**machine);
  if (!running.ok()) return started.set_value(running.error());
  if ((*machine)->state() == vm::State::exited) {
    return started.set_value(Error("the machine did not start: " + (*machine)->exit()->detail));
  }
  started.set_value({});
  while (!stop.stop_requested() && (*machine)->state() != vm::State::exited) {
    pollfd events[] = {{wake_.get(), POLLIN, 0}, {(*machine)->event_fd(), POLLIN, 0}};
    (void)::poll(events, 2, -1);
    if (events[1].revents != 0) (*machine)->handle_readable();
    if (events[0].revents != 0) {
      std::uint64_t count = 0;
      [[maybe_unused]] const auto drained = ::read(wake_.get(), &count, sizeof count);
      std::optional<std::packaged_task<void(vm::Machine&)>> job;
      {
        const std::lock_guard lock(mutex_);
        job.swap(job_);
      }
      if (job) (*job)(**machine);
    }
    note(**machine);
  }
  const std::lock_guard lock(mutex_);
  status_.runs = false;
  job_.reset();  // whoever waits for it learns that it never ran
}

Result<void> RunningMachine::perform(Job job) {
  std::future<void> done;
  {
    const std::lock_guard lock(mutex_);
    if (!status_.runs) return Error("the machine does not run");
    job_.emplace(std::move(job));
    done = job_->get_future();
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
  try {
    done.get();
  } catch (const std::future_error&) {
    return Error("the machine has ended");
  }
  return {};
}

Result<vm::SnapshotReport> RunningMachine::take(const vm::SnapshotRequest& request) {
  const std::lock_guard one_at_a_time(one_job_);
  Result<vm::SnapshotReport> outcome = Error("the machine has ended");
  TRY(perform([&](vm::Machine& machine) {
    if (auto begun = machine.take(request); !begun.ok()) {
      outcome = begun.error();
      return;
    }
    const bool came = wait_until(machine, request.deadline + kSlack,
                                 [&] { return machine.snapshot().has_value(); });
    outcome = came ? *machine.snapshot() : Error("the snapshot was not ready in time");
    if (!came || request.after == vm::SnapshotRequest::After::go_on) return;
    wait_until(machine, kSlack, [&] { return machine.state() == vm::State::exited; });
  }));
  return outcome;
}

Result<void> RunningMachine::freeze() {
  const std::lock_guard one_at_a_time(one_job_);
  Result<void> outcome;
  TRY(perform([&](vm::Machine& machine) { outcome = machine.freeze(); }));
  const std::lock_guard lock(mutex_);
  status_.is_frozen = status_.is_frozen || outcome.ok();
  return outcome;
}

Result<void> RunningMachine::go_on() {
  const std::lock_guard one_at_a_time(one_job_);
  Result<void> outcome;
  TRY(perform([&](vm::Machine& machine) { outcome = machine.go_on(); }));
  const std::lock_guard lock(mutex_);
  if (outcome.ok()) status_.is_frozen = false;
  return outcome;
}

Result<void> RunningMachine::stop(milliseconds grace) {
  const std::lock_guard one_at_a_time(one_job_);
  bool ended = false;
  TRY(perform([&](vm::Machine& machine) {
    machine.stop(grace);
    ended =
        wait_until(machine, grace + kSlack, [&] { return machine.state() == vm::State::exited; });
  }));
  if (!ended) return Error("the machine did not end in time");
  return {};
}

}  // namespace mutua::peer
