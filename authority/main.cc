// mutua-authority: parse, construct, run. What stands later is destroyed earlier.

#include <csignal>

#include "authority/access/response_signature.h"
#include "authority/command_line.h"
#include "authority/commands.h"
#include "authority/database_commands.h"
#include "authority/key_commands.h"
#include "authority/metrics/metrics_server.h"
#include "authority/metrics/metrics_text.h"
#include "authority/process.h"
#include "authority/reload.h"
#include "authority/server/forwarder.h"
#include "authority/server/server.h"
#include "authority/store/open_store.h"
#include "authority/tap/tap.h"
#include "authority/transfer/notifier.h"
#include "authority/transfer/transfer_service.h"
#include "authority/transfer/zone_list.h"
#include "authority/zone_source.h"
#include "base/log.h"
#include "base/service_manager.h"
#include "control/control.h"

namespace mutua::authority {
namespace {

constexpr std::chrono::seconds kUpstreamPatience{4};  // less than most stub resolvers'

Taker questions_to(Forwarder* forwarder) {
  if (!forwarder) return {};
  return [forwarder](Handover handover) { return forwarder->take(std::move(handover)); };
}

TransferTaker transfers_from(const TransferService& service) {
  return [&service](BytesView message, const SocketAddress& source, Transport transport) {
    return service.begin(message, source, transport == Transport::tls);
  };
}

ResponseSigner signer_of_answers(const Replaceable<std::vector<wire::TsigKey>>& keys) {
  return [&keys](BytesView question, BytesView response) {
    const auto current = keys.get();
    return answer_signed_question(question, to_bytes(response), *current,
                                  system_clock().wall_now());
  };
}

Result<void> serve(const CommandLine& line, ZoneStore& store) {
  const AuthorityConfig& config = line.config;
  const sigset_t signals = block_signals();
  InheritedSockets inherited = InheritedSockets::from_environment();
  TRY(raise_descriptor_limit(config.server.tcp.connections));
  std::unique_ptr<Tap> tap;
  if (config.tap) tap = std::make_unique<Tap>(*config.tap);
  std::unique_ptr<Notifier> notifier;  // set before the source runs
  const auto source =
      TRY(ZoneSource::create(config, store, [&notifier] { notifier->zone_changed(); }));
  release_unused_memory();
  Catalog& catalog = source->catalog();
  notifier = TRY(Notifier::create(config.transfer.notify, catalog, system_clock()));
  TransferService transfers(config.transfer, catalog, source->history(), system_clock());
  std::unique_ptr<ZoneList> list;
  if (config.zone_list) {
    list = TRY(ZoneList::create(*config.zone_list, config.zone, config.transfer, system_clock()));
    transfers.add(list->versions(), list->history());
  }
  Replaceable<std::vector<wire::TsigKey>> question_keys(keys_of_questions(config));
  std::unique_ptr<Forwarder> forwarder;
  if (config.unknown_names == UnknownNames::forward)
    forwarder = std::make_unique<Forwarder>(
        TRY(upstream::Upstream::create(config.upstreams, kUpstreamPatience)), system_clock());
  const auto server =
      TRY(Server::create(config.server, catalog,
                         {source->taker(), questions_to(forwarder.get()), transfers_from(transfers),
                          signer_of_answers(question_keys), source->gate(),
                          list ? &list->version() : nullptr, tap.get()},
                         std::move(inherited)));
  const auto metrics = TRY(MetricsServer::create(config.metrics_listen, [&] {
    return metrics_text(server->statistics(), source->writer_counters(), *catalog.current(),
                        tap.get());
  }));
  std::unique_ptr<control::Server> control;
  if (!config.control_socket.empty())
    control = TRY(control::Server::create(
        config.control_socket, 0600, [&](const boost::json::object& request, const auto&) {
          return handle_control(catalog, config.writer.federation, request);
        }));

  if (tap) tap->start();
  source->start();
  server->start();
  notifier->start();
  if (list) list->start();
  metrics->start();
  announce(*server, *catalog.current());
  for (const SocketAddress& address : metrics->addresses())
    log::info("metrics.ready", {{"listen", address.to_text()}});
  notify_manager("READY=1");
  Running running{*server, *source, transfers, {notifier.get()}, question_keys};
  if (list) running.notifiers.push_back(&list->notifier());
  int signal = 0;
  while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) reload(line.config_path, running);
  log::info("authority.ending", {{"signal", signal}});
  notify_manager("STOPPING=1");
  metrics->stop();
  source->stop();  // first, so that what it took is answered
  notifier->stop();
  if (list) list->stop();
  server->stop();
  if (tap) tap->stop();
  return {};
}

Result<void> run(const CommandLine& line) {
  if (line.command == "explain") return explain(line.config, line.arguments);
  if (line.command == "keys") return run_key_command(line.config, line.arguments, system_clock());
  if (line.command == "migrate") return migrate(line.config, line.arguments);
  const auto store = TRY(open_store(line.config.database, line.config.zone));
  if (line.command == "import") return import(*store, line.config.zone, line.arguments.front());
  if (line.command == "export")
    return export_master_file(*store, line.config.zone, line.arguments.front());
  if (line.command == "check") return check(*store, line.config);
  return serve(line, *store);
}

}  // namespace
}  // namespace mutua::authority

int main(int argc, char** argv) {
  const auto line = mutua::authority::read_command_line(argc, argv);
  if (line.exit_code) return *line.exit_code;
  const auto ended = mutua::authority::run(line);
  if (ended) return 0;
  mutua::log::error("authority.failed", {{"cause", ended.error().message()}});
  return 1;
}
