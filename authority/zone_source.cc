#include "authority/zone_source.h"

#include <utility>

#include "authority/database_commands.h"
#include "wire/message.h"

namespace mutua::authority {
namespace {

// Nobody notifies a primary: no reason to keep the writer busy with it.
Bytes notimp(const wire::Header& header) {
  if (header.response) return {};
  wire::Message request;
  request.header = header;
  return request.response(wire::Rcode::notimp).to_wire();
}

}  // namespace

Result<std::unique_ptr<ZoneSource>> ZoneSource::create(const AuthorityConfig& config,
                                                       ZoneStore& store,
                                                       std::function<void()> published) {
  std::unique_ptr<ZoneSource> source(new ZoneSource);
  if (!config.follower.primaries.empty()) {
    FollowerConfig follower = config.follower;
    follower.published = std::move(published);
    source->follower_ =
        TRY(Follower::create(store, config.zone, std::move(follower), system_clock()));
    return source;
  }
  TRY(import_where_empty(store, config));
  WriterConfig writer = config.writer;
  writer.published = std::move(published);
  const DnssecConfig& dnssec = config.dnssec;
  if (!dnssec.keys.empty())
    writer.keys = &source->keys_.emplace(
        TRY(KeyKeeper::create(dnssec.keys, config.zone, dnssec.plan, dnssec.roll, system_clock())));
  source->writer_ = TRY(Writer::create(store, std::move(writer), system_clock()));
  if (!dnssec.keys.empty() && !dnssec.parents.empty())
    source->parent_watch_ =
        TRY(ParentWatch::create(dnssec.keys, config.zone, dnssec.parents, system_clock()));
  return source;
}

Taker ZoneSource::taker() {
  if (follower_)
    return [follower = follower_.get()](Handover handover) {
      handover.reply(follower->answer(handover.message, handover.source));
      return true;
    };
  return [writer = writer_.get()](Handover handover) {
    const auto header = wire::parse_header(handover.message);
    if (header && header->opcode == wire::Opcode::notify) {
      handover.reply(notimp(*header));
      return true;
    }
    return writer->submit({std::move(handover.message), handover.source,
                           handover.transport != Transport::udp, std::move(handover.reply)});
  };
}

DatagramGate ZoneSource::gate() {
  if (follower_) return {};
  return [writer = writer_.get()](BytesView message) { return writer->admits_datagram(message); };
}

Result<void> ZoneSource::check(const AuthorityConfig& config) const {
  const bool is_secondary = follower_ != nullptr;
  if (is_secondary != config.follower.primaries.empty()) return {};
  return Error("primary: it takes a restart to become a secondary, or a primary");
}

void ZoneSource::reload(const AuthorityConfig& config) {
  if (follower_)
    follower_->replace_primaries(config.follower.primaries);
  else
    writer_->replace_tsig_keys(config.writer.tsig_keys);
}

void ZoneSource::start() {
  if (follower_) return follower_->start();
  writer_->start();
  if (parent_watch_) parent_watch_->start();
}

void ZoneSource::stop() {
  if (follower_) return follower_->stop();
  if (parent_watch_) parent_watch_->stop();
  writer_->stop();
}

}  // namespace mutua::authority
