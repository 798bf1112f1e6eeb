#include "authority/dnssec/parent_watch.h"

#include <algorithm>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>
#include <utility>

#include "authority/dnssec/key_store.h"
#include "base/log.h"
#include "trust/random.h"
#include "upstream/upstream.h"
#include "wire/message.h"

namespace mutua::authority {
namespace {

constexpr std::chrono::seconds kPatience(5);

class AskingParentWatch final : public ParentWatch {
 public:
  AskingParentWatch(KeyStore store, wire::Name zone,
                    std::vector<std::unique_ptr<upstream::Upstream>> parents, const Clock& clock,
                    std::chrono::milliseconds pause)
      : store_(std::move(store)),
        zone_(std::move(zone)),
        parents_(std::move(parents)),
        clock_(clock),
        pause_(pause) {}
  ~AskingParentWatch() override { stop(); }

  void start() override {
    thread_ = std::thread([this] { run(); });
  }

  void stop() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      lock.unlock();
      if (auto looked = look(); !looked)
        log::warning("dnssec.parent_unknown",
                     {{"zone", zone_.to_text()}, {"error", looked.error().message()}});
      lock.lock();
      wake_.wait_for(lock, pause_, [this] { return stopping_; });
    }
  }

  Result<void> look() {
    TRY(store_.refresh());
    const KeyRecord* waiting = key_waiting_for_parent(store_.records());
    if (!waiting) return {};
    const std::uint16_t tag = waiting->tag;
    const Bytes ds = store_.key(tag)->ds(zone_);
    for (const auto& parent : parents_)
      if (!TRY(shows(*parent, ds))) return {};
    return store_.note_ds_seen(tag, clock_.wall_now());
  }

  Result<bool> shows(upstream::Upstream& parent, const Bytes& ds) const {
    wire::Message query;
    query.header.id = static_cast<std::uint16_t>(trust::random_u32());
    query.question.push_back({zone_, wire::RRType::ds, wire::RRClass::in});
    query.edns.emplace();
    auto answered = std::make_shared<std::promise<Result<Bytes>>>();
    auto answer = answered->get_future();
    if (!parent.ask(query.to_wire(), [answered](Result<Bytes> response) {
          answered->set_value(std::move(response));
        }))
      return Error("the question could not be sent");
    const Bytes response = TRY(answer.get());  // in time: the upstream sees to that
    const wire::Message message = TRY(wire::parse(response));
    if (message.header.rcode != wire::Rcode::noerror)
      return Error("the zone above answers " + to_text(message.header.rcode));
    return std::ranges::any_of(message.answer, [&](const wire::Record& record) {
      return record.owner == zone_ && record.type == wire::RRType::ds && record.rdata == ds;
    });
  }

  KeyStore store_;
  const wire::Name zone_;
  const std::vector<std::unique_ptr<upstream::Upstream>> parents_;
  const Clock& clock_;
  const std::chrono::milliseconds pause_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<ParentWatch>> ParentWatch::create(const std::filesystem::path& key_folder,
                                                         const wire::Name& zone,
                                                         const std::vector<SocketAddress>& parents,
                                                         const Clock& clock,
                                                         std::chrono::milliseconds pause) {
  std::vector<std::unique_ptr<upstream::Upstream>> upstreams;
  for (const SocketAddress& parent : parents)
    upstreams.push_back(TRY(upstream::Upstream::create({parent}, kPatience)));
  return std::unique_ptr<ParentWatch>(std::make_unique<AskingParentWatch>(
      TRY(KeyStore::open(key_folder, zone)), zone, std::move(upstreams), clock, pause));
}

}  // namespace mutua::authority
