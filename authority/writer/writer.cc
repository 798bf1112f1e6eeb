#include "authority/writer/writer.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "authority/writer/writer_core.h"
#include "base/thread_scheduling.h"
#include "wire/sig0.h"

namespace mutua::authority {
namespace {

using std::chrono::milliseconds;

// The wall clock may be set at any moment, so that no wait for a lease is longer than this. What
// other authorities have written is asked for as often, should no word of it come.
constexpr milliseconds kLongestWait(1000);
constexpr milliseconds kShortestWait(50);

constexpr std::size_t kShareOfOneSource = 4;  // a quarter of the queue

}  // namespace

struct Writer::State {
  State(ZoneStore& given_store, WriterConfig config, const Clock& given_clock)
      : clock(given_clock),
        queue_limit(config.queue_limit),
        group_limit(config.group_limit),
        store(given_store),
        core(store, std::move(config), given_clock) {}
  ~State() { store.watch({}); }

  std::vector<UpdateRequest> take_group();  // under the lock
  milliseconds time_to_next_step() const;
  void run();

  const Clock& clock;
  const std::size_t queue_limit, group_limit;
  ZoneStore& store;
  WriterCore core;  // the thread's, once it runs
  std::thread thread;

  std::mutex mutex;  // guards all below
  std::condition_variable wake;
  std::deque<UpdateRequest> queue;
  std::map<std::string, std::size_t> waiting_by_source;
  bool others_wrote = false;
  bool stopping = false;
};

Result<std::unique_ptr<Writer>> Writer::create(ZoneStore& store, WriterConfig config,
                                               const Clock& clock) {
  auto state = std::make_unique<State>(store, std::move(config), clock);
  TRY(state->core.recover());
  store.watch([&state = *state] {
    const std::lock_guard lock(state.mutex);
    state.others_wrote = true;
    state.wake.notify_one();
  });
  return std::unique_ptr<Writer>(new Writer(std::move(state)));
}

Writer::Writer(std::unique_ptr<State> state) : state_(std::move(state)) {}

Writer::~Writer() { stop(); }

Catalog& Writer::catalog() { return state_->core.catalog(); }
const ChangeHistory& Writer::history() const { return state_->core.history(); }

const WriterCounters& Writer::counters() const { return state_->core.counters(); }

void Writer::start() {
  BASE_ASSERT(!state_->thread.joinable());
  state_->thread = std::thread([this] { state_->run(); });
}

void Writer::stop() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_one();
  if (state_->thread.joinable()) state_->thread.join();
}

void Writer::replace_tsig_keys(std::vector<wire::TsigKey> keys) {
  state_->core.replace_tsig_keys(std::move(keys));
}

bool Writer::admits_datagram(BytesView message) const {
  return !state_->core.limits().udp_is_closed(state_->clock.steady_now()) ||
         !wire::carries_sig0(message);
}

bool Writer::submit(UpdateRequest request) {
  if (!request.tcp && !admits_datagram(request.message)) return false;
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->stopping || state_->queue.size() >= state_->queue_limit) return false;
    std::size_t& waiting = state_->waiting_by_source[request.source.address_to_text()];
    if (waiting >= std::max<std::size_t>(1, state_->queue_limit / kShareOfOneSource)) return false;
    ++waiting;
    state_->queue.push_back(std::move(request));
  }
  state_->wake.notify_one();
  return true;
}

void Writer::process_now() {
  bool more = true;
  while (more) {
    std::unique_lock lock(state_->mutex);
    auto group = state_->take_group();
    more = !state_->queue.empty();
    lock.unlock();
    state_->core.process(std::move(group));
  }
}

std::vector<UpdateRequest> Writer::State::take_group() {
  std::vector<UpdateRequest> group;
  while (!queue.empty() && group.size() < group_limit) {
    const auto waiting = waiting_by_source.find(queue.front().source.address_to_text());
    if (--waiting->second == 0) waiting_by_source.erase(waiting);
    group.push_back(std::move(queue.front()));
    queue.pop_front();
  }
  return group;
}

milliseconds Writer::State::time_to_next_step() const {
  if (core.is_to_go_on()) return milliseconds(0);
  const auto due = core.next_due();
  if (!due) return kLongestWait;
  return std::clamp(std::chrono::duration_cast<milliseconds>(*due - clock.wall_now()),
                    kShortestWait, kLongestWait);
}

void Writer::State::run() {
  step_back();  // where it shares a processor with those that answer: a fair half would delay them
  while (true) {
    const milliseconds wait = time_to_next_step();
    std::unique_lock lock(mutex);
    wake.wait_for(lock, wait, [&] { return stopping || others_wrote || !queue.empty(); });
    others_wrote = false;
    auto group = take_group();
    const bool finished = stopping && group.empty();
    lock.unlock();
    if (finished) return;
    core.process(std::move(group));
  }
}

}  // namespace mutua::authority
