#include "authority/transfer/transfer_service.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "authority/access/tsig_check.h"
#include "authority/transfer/record_packer.h"
#include "authority/transfer/stream_signature.h"
#include "base/log.h"
#include "wire/message.h"
#include "wire/rdata.h"

namespace mutua::authority {
namespace {

using wire::ExtendedError;
using wire::Rcode;
using wire::RRType;

// What a stream is signed with lives in the configuration that its request was judged by.
using Held = std::shared_ptr<const TransferConfig>;

class RefusalStream final : public MessageStream {
 public:
  RefusalStream(const wire::Message& request, const Refusal& refusal, Held config,
                std::optional<ResponseSignature> signature, const Clock& clock)
      : config_(std::move(config)), signature_(std::move(signature)), clock_(clock) {
    wire::Message response = request.response(refusal.rcode);
    if (request.edns) {
      response.edns.emplace();
      response.edns->options.push_back(wire::make_extended_error(refusal.code, refusal.text));
    }
    message_ = response.to_wire();
  }

  Result<Bytes> next() override {
    Bytes message = std::exchange(message_, {});
    if (message.empty() || !signature_) return message;
    return StreamSignature(*std::move(signature_)).sign(std::move(message), clock_.wall_now());
  }

 private:
  const Held config_;
  std::optional<ResponseSignature> signature_;
  const Clock& clock_;
  Bytes message_;
};

class RecordStream final : public MessageStream {
 public:
  RecordStream(const wire::Message& request, std::unique_ptr<OutgoingRecords> records, Held config,
               std::optional<ResponseSignature> signature, const Clock& clock)
      : config_(std::move(config)), packer_(request, std::move(records)), clock_(clock) {
    if (signature) signature_.emplace(*std::move(signature));
  }

  Result<Bytes> next() override {
    Bytes message = TRY(packer_.next());
    if (message.empty() || !signature_) return message;
    return signature_->sign(std::move(message), clock_.wall_now());
  }

 private:
  const Held config_;
  RecordPacker packer_;
  std::optional<StreamSignature> signature_;
  const Clock& clock_;
};

// For a message that cannot be parsed.
wire::Message header_only(BytesView message) {
  wire::Message only;
  if (const auto header = wire::parse_header(message)) only.header = *header;
  return only;
}

// The serial that an IXFR comes with (RFC 1995 section 3).
std::optional<std::uint32_t> serial_of(const wire::Message& request) {
  for (const wire::Record& record : request.authority) {
    if (record.type != RRType::soa) continue;
    const auto soa = wire::parse_soa(record.rdata);
    if (soa.ok()) return soa->serial;
  }
  return std::nullopt;
}

std::size_t size_of(const ChangeHistory::Path& path) {
  std::size_t changes = 0;
  for (const auto& change : path) changes += change->changes.size();
  return changes;
}

}  // namespace

const TransferService::Zone* TransferService::find(const wire::Name& apex) const {
  const auto found = std::ranges::find_if(
      zones_, [&](const Zone& zone) { return zone.catalog->current()->apex() == apex; });
  return found == zones_.end() ? nullptr : &*found;
}

std::unique_ptr<MessageStream> TransferService::begin(BytesView message,
                                                      const SocketAddress& source, bool tls) const {
  const Held config = config_.get();
  std::optional<ResponseSignature> signature;
  auto parsed = wire::parse(message);
  const auto refuse = [&](const wire::Message& request, Refusal refusal) {
    log::info("transfer.refused", {{"source", source.to_text()}, {"reason", refusal.text}});
    return std::make_unique<RefusalStream>(request, refusal, config, std::move(signature), clock_);
  };
  if (!parsed.ok() || parsed->question.size() != 1)
    return refuse(header_only(message), {Rcode::formerr, ExtendedError::other, "malformed"});
  const wire::Message request = *std::move(parsed);
  const wire::Question& question = request.question.front();

  std::optional<wire::Name> key;
  if (request.signature_offset && request.signature_type == RRType::tsig) {
    auto checked = check_tsig({message, request, source, true}, config->keys, clock_.wall_now());
    if (auto* failed = std::get_if<Unauthenticated>(&checked)) {
      signature = std::move(failed->signature);
      return refuse(request, std::move(failed->refusal));
    }
    signature = std::move(std::get<CheckedTsig>(checked).signature);
    key = signature->key->name;
  }
  if (!permits(config->rules, source, tls, key))
    return refuse(request, {Rcode::refused, ExtendedError::prohibited, "not to you"});
  const Zone* const zone = find(question.name);
  if (!zone)
    return refuse(request,
                  {Rcode::notauth, ExtendedError::not_authoritative, "not a zone of ours"});
  const auto version = zone->catalog->current();
  if (version->is_expired())
    return refuse(request, {Rcode::servfail, ExtendedError::not_ready, "the zone has expired"});

  std::unique_ptr<OutgoingRecords> records;
  if (question.type == RRType::ixfr) {
    const auto serial = serial_of(request);
    if (!serial)
      return refuse(request, {Rcode::formerr, ExtendedError::other, "IXFR without a SOA"});
    auto path = wire::serial_after(version->serial(), *serial)
                    ? zone->history->path(*serial, version->serial())
                    : ChangeHistory::Path();
    if (path && size_of(*path) <= version->rrset_count())
      records = differences(version, *std::move(path));
  }
  const bool is_whole = !records;
  if (is_whole) records = whole_zone(version);
  log::debug("transfer.begun", {{"zone", version->apex().to_text()},
                                {"peer", source.to_text()},
                                {"serial", version->serial()},
                                {"whole", is_whole ? "yes" : "no"}});
  return std::make_unique<RecordStream>(request, std::move(records), config, std::move(signature),
                                        clock_);
}

}  // namespace mutua::authority
