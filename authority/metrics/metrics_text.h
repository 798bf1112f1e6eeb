#pragma once

#include <string>

#include "authority/server/server.h"
#include "authority/tap/tap.h"
#include "authority/writer/writer.h"
#include "authority/zone/zone_version.h"

namespace mutua::authority {

// What the daemon has counted so far, in Prometheus' text format.
// `writer`: null where the zone is another's; `tap`: null where there is none.
std::string metrics_text(const Server::Statistics& server, const WriterCounters* writer,
                         const ZoneVersion& version, const Tap* tap);

}  // namespace mutua::authority
