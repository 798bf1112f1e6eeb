#include "authority/reload.h"

#include <utility>

#include "base/log.h"

namespace mutua::authority {
namespace {

Result<void> take_up(const std::string& path, const Running& running) {
  Config file = TRY(Config::load(path));
  const AuthorityConfig config = TRY(read_authority_config(std::move(file)));
  TRY(running.source.check(config));
  // What may fail comes first.
  TRY(running.server.reload(config.server));
  for (Notifier* notifier : running.notifiers) TRY(notifier->replace(config.transfer.notify));
  running.source.reload(config);
  running.transfers.replace(config.transfer);
  running.question_keys.replace(keys_of_questions(config));
  return {};
}

}  // namespace

std::vector<wire::TsigKey> keys_of_questions(const AuthorityConfig& config) {
  std::vector<wire::TsigKey> keys = config.writer.tsig_keys;
  keys.insert(keys.end(), config.transfer.keys.begin(), config.transfer.keys.end());
  return keys;
}

void reload(const std::string& path, const Running& running) {
  if (const auto done = take_up(path, running); done.ok())
    log::info("authority.reloaded", {{"config", path}});
  else
    log::error("authority.reload_failed", {{"cause", done.error().message()}});
}

}  // namespace mutua::authority
