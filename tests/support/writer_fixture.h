#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "authority/store/memory_store.h"
#include "authority/writer/writer.h"
#include "support/fake_clock.h"
#include "support/update_client.h"

namespace mutua::test {

inline const std::string kZone = "fed.test.";
inline const Bytes kSecret = to_bytes("0123456789abcdef0123456789abcdef");
inline const std::string kBase(52, 'b');
inline const std::string kManifest = "sha256:" + std::string(64, 'a');
inline const std::string kOtherManifest = "sha256:" + std::string(64, 'c');

inline std::vector<authority::OwnedRRset> small_zone() {
  std::map<std::pair<wire::Name, wire::RRType>, authority::RRset> sets;
  for (const char* text :
       {"fed.test. 300 IN SOA ns1.fed.test. hostmaster.fed.test. 1 3600 600 604800 60",
        "fed.test. 300 IN NS ns1.fed.test.", "fed.test. 300 IN NS ns2.fed.test.",
        "ns1.fed.test. 300 IN A 127.0.0.1", "ns2.fed.test. 300 IN A 127.0.0.1"}) {
    auto record = wire::record_from_text(text, 60, wire::Name()).value();
    auto& rrset = sets[{record.owner, record.type}];
    rrset.type = record.type;
    rrset.ttl = record.ttl;
    rrset.rdatas.push_back(record.rdata);
  }
  std::vector<authority::OwnedRRset> out;
  for (auto& [place, rrset] : sets) out.push_back({place.first, rrset});
  return out;
}

struct Answer {
  wire::Message message;
  wire::Rcode rcode = wire::Rcode::noerror;
  std::string text;  // of the extended error
  Bytes bytes;
};

// A peer or an owner, with one key for everything.
struct Party {
  explicit Party(trust::Algorithm algorithm = trust::Algorithm::ed25519)
      : key(trust::PrivateKey::generate(algorithm).value()),
        id(trust::peer_id(key.public_key())),
        host(id + ".peers." + kZone) {}

  trust::PrivateKey key;
  std::string id, host;
};

// A writer over a memory store, stepped by hand, with the clock in the test's hands.
class WriterTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(authority::import_zone(store_, small_zone()).ok());
    restart();
  }

  void restart() {
    writer_.reset();
    authority::WriterConfig config;
    config.tsig_keys.push_back({name("operator"), "hmac-sha256", kSecret});
    config.federation = federation_;
    auto created = authority::Writer::create(store_, std::move(config), clock_);
    ASSERT_TRUE(created.ok()) << created.error().message();
    writer_ = *std::move(created);
  }

  Answer send(const Bytes& bytes, const std::string& source = "127.0.0.1:4000") {
    Bytes reply;
    authority::UpdateRequest request{bytes, SocketAddress::parse(source).value(), false,
                                     [&](Bytes answer) { reply = std::move(answer); }};
    EXPECT_TRUE(writer_->submit(std::move(request)));
    writer_->process_now();
    return read(reply);
  }
  static Answer read(const Bytes& bytes) {
    Answer answer;
    answer.bytes = bytes;
    if (bytes.empty()) return answer;
    auto parsed = wire::parse(bytes);
    EXPECT_TRUE(parsed.ok()) << parsed.error().message();
    if (!parsed.ok()) return answer;
    answer.message = *std::move(parsed);
    answer.rcode = answer.message.header.rcode;
    if (auto error = wire::find_extended_error(answer.message.edns)) answer.text = error->text;
    return answer;
  }

  Bytes by_operator(UpdateBuilder& update) {
    return sign_tsig(update.unsigned_bytes(), "operator", kSecret, clock_.wall_now());
  }
  Bytes by(const Party& party, std::string_view signer, UpdateBuilder& update) {
    update.edns();
    return sign_sig0(update.unsigned_bytes(), party.key, signer, clock_.wall_now());
  }
  Answer operate(UpdateBuilder& update) { return send(by_operator(update)); }

  // Claims a service, admission `audited` unless told.
  Answer claim(const Party& owner, const std::string& service, const std::string& more = "",
               const std::string& manifest = kManifest) {
    UpdateBuilder update(kZone);
    update.add_key(service, owner.key.public_key());
    update.add(service + " 60 IN TXT v=1 manifest=" + manifest + " base=" + kBase +
               " ports=80/tcp " + more);
    return send(by(owner, service, update));
  }
  UpdateBuilder registration(const Party& peer, unsigned lease = 60,
                             const std::string& address = "127.0.0.5") {
    UpdateBuilder update(kZone);
    update.lease(lease, 1209600);
    update.remove_name(peer.host);
    update.add_key(peer.host, peer.key.public_key());
    update.add(peer.host + " 30 IN A " + address);
    return update;
  }
  void add_commitment(UpdateBuilder& update, const Party& peer, const std::string& service,
                      unsigned port = 20080, const std::string& manifest = kManifest) {
    const std::string list = "_80._tcp." + service, owner = peer.id + "." + list;
    update.add(list + " 30 IN PTR " + owner);
    update.remove_name(owner);
    update.add(owner + " 30 IN SRV 0 0 " + std::to_string(port) + " " + peer.host);
    update.add(owner + " 30 IN TXT v=1 manifest=" + manifest);
  }
  Answer commit(const Party& peer, const std::string& service, unsigned port = 20080,
                const std::string& manifest = kManifest, unsigned lease = 60) {
    UpdateBuilder update = registration(peer, lease);
    add_commitment(update, peer, service, port, manifest);
    return send(by(peer, peer.host, update));
  }
  Answer say(const Party& owner, const std::string& service, const std::string& record) {
    UpdateBuilder update(kZone);
    update.add(record);
    return send(by(owner, service, update));
  }
  Answer admit(const Party& owner, const std::string& service, const Party& peer) {
    return say(owner, service, peer.id + "._admit." + service + " 60 IN TXT v=1");
  }
  Answer deny(const Party& owner, const std::string& service, const Party& peer) {
    return say(owner, service, peer.id + "._deny." + service + " 60 IN TXT v=1 reason=altered");
  }
  void trust_base(const std::string& status = "trusted") {
    UpdateBuilder update(kZone);
    const std::string owner = kBase + "._kernels." + kZone;
    update.remove_name(owner).add(owner + " 60 IN TXT v=1 status=" + status);
    ASSERT_EQ(operate(update).rcode, wire::Rcode::noerror);
  }

  std::shared_ptr<const authority::ZoneVersion> zone() { return writer_->catalog().current(); }
  std::vector<std::string> rdatas(std::string_view owner, wire::RRType type) {
    std::vector<std::string> texts;
    const auto version = zone();
    if (const auto rrset = version->find(name(owner), type)) {
      for (const Bytes& rdata : rrset->rdatas) texts.push_back(wire::rdata_to_text(type, rdata));
    }
    return texts;
  }
  std::vector<std::string> served(const std::string& service) {
    return rdatas("_80._tcp." + service, wire::RRType::srv);
  }

  FakeClock clock_;
  authority::MemoryStore store_;
  authority::FederationPolicy federation_;
  std::unique_ptr<authority::Writer> writer_;
};

}  // namespace mutua::test
