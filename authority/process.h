#pragma once

#include <csignal>
#include <cstddef>

#include "authority/server/server.h"
#include "authority/zone/zone_version.h"
#include "base/result.h"

namespace mutua::authority {

// What a daemon settles with its surroundings.

// Blocks SIGTERM, SIGINT and SIGHUP, to be waited for, and ignores SIGPIPE. Before any thread
// starts, so that all inherit it.
sigset_t block_signals();

// Raises the limit of open files as far as the system allows. Fails where that is too low for so
// many connections: a server that runs out of descriptors could not even tell its clients.
Result<void> raise_descriptor_limit(std::size_t connections);

// Gives back what the start needed and the zone does not.
void release_unused_memory();

// "ready udp+tcp ADDRESS:PORT" on standard output for each listen address, "ready tls ADDRESS:PORT"
// for each of TLS.
void announce(const Server& server, const ZoneVersion& version);

}  // namespace mutua::authority
