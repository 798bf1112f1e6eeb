#include "peer/registration/update_client.h"

#include <algorithm>
#include <charconv>

#include "base/durable_file.h"
#include "stub_client/stub_client.h"
#include "trust/peer_id.h"
#include "trust/random.h"
#include "wire/rdata.h"
#include "wire/sig0.h"

namespace mutua::peer {
namespace {

constexpr std::uint32_t kSignatureSeconds = 300;
// Beyond this a remembered inception is a clock's error, not a clock that went back a little:
// authorities would refuse it as not yet valid.
constexpr std::uint32_t kLargestStepBack = 240;

std::uint32_t read_inception(const std::filesystem::path& path) {
  const auto content = read_file(path, 64);
  std::uint32_t inception = 0;
  if (content.ok()) {
    const std::string_view text = as_text(*content);
    std::from_chars(text.data(), text.data() + text.size(), inception);
  }
  return inception;
}

}  // namespace

Error UpdateReply::to_error(const std::string& operation) const {
  return Error(operation + ": the authority answers " + wire::to_text(rcode) +
               (explanation.empty() ? "" : ": " + explanation));
}

UpdateClient::UpdateClient(trust::PrivateKey key, std::vector<SocketAddress> authorities,
                           std::filesystem::path inception_file, const Clock& clock,
                           std::chrono::milliseconds timeout)
    : key_(std::move(key)),
      authorities_(std::move(authorities)),
      inception_file_(std::move(inception_file)),
      clock_(clock),
      timeout_(timeout) {}

Result<std::uint32_t> UpdateClient::next_inception() {
  if (last_inception_ == 0) last_inception_ = read_inception(inception_file_);
  const auto now = static_cast<std::uint32_t>(clock_.wall_now().time_since_epoch().count());
  if (last_inception_ > now && last_inception_ - now > kLargestStepBack) last_inception_ = now;
  const std::uint32_t inception = std::max(last_inception_, now);
  if (inception != last_inception_) {
    TRY(write_file_durably(inception_file_, as_bytes(std::to_string(inception)), 0600));
    last_inception_ = inception;
  }
  return inception;
}

Result<UpdateReply> UpdateClient::send(const wire::Message& update, const wire::Name& signer) {
  const std::lock_guard lock(mutex_);
  Error problem("no authority is configured");
  for (const SocketAddress& authority : authorities_) {
    auto reply = send_to(authority, update, signer);
    if (reply.ok()) return reply;
    problem = reply.error();
  }
  return problem.in("update");
}

Result<UpdateReply> UpdateClient::send_to(const SocketAddress& authority,
                                          const wire::Message& update, const wire::Name& signer) {
  wire::Message message = update;
  // A fresh id makes each signature unique, though Ed25519 signs the same bytes alike.
  message.header.id = static_cast<std::uint16_t>(trust::random_u32());
  wire::Sig0 fields;
  fields.algorithm = static_cast<std::uint8_t>(public_key().algorithm());
  fields.inception = TRY(next_inception());
  fields.expiration = fields.inception + kSignatureSeconds;
  fields.key_tag = wire::key_tag(trust::key_rdata(public_key()));
  fields.signer = signer;
  const Bytes bytes = wire::sign_sig0(message.to_wire(), fields,
                                      [this](BytesView covered) { return key_.sign(covered); });
  const Bytes answer =
      TRY(stub_client::exchange(authority, bytes, timeout_, stub_client::Transport::tcp));
  const wire::Message response = TRY(wire::parse(answer));
  UpdateReply reply;
  reply.rcode = response.header.rcode;
  if (const auto text = wire::find_extended_error(response.edns)) reply.explanation = text->text;
  if (response.edns) {
    if (const auto* option = response.edns->find(wire::edns_code::update_lease)) {
      if (const auto lease = wire::parse_update_lease(option->data)) reply.lease = lease->lease;
    }
  }
  return reply;
}

}  // namespace mutua::peer
