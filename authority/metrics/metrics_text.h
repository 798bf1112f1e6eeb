#pragma once

#include <string>

#include "authority/server/server.h"
#include "authority/writer/writer.h"
#include "authority/zone/zone_version.h"

namespace mutua::authority {

// What the daemon has counted so far, in Prometheus' text format.
// `writer`: null where the zone is another's.
std::string metrics_text(const Server::Statistics& server, const WriterCounters* writer,
                         const ZoneVersion& version);

}  // namespace mutua::authority
