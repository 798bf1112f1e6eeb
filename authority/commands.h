#pragma once

#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "authority/config.h"
#include "authority/zone/catalog.h"
#include "base/result.h"

namespace mutua::authority {

// Answers the control socket's only command, {"command": "explain", "service", "port", "peer"}:
// {"served": bool, "reasons": […]}, by the function that derives the served lists. Any thread.
Result<boost::json::object> handle_control(const Catalog& catalog, const FederationPolicy& policy,
                                           const boost::json::object& request);

// The other side: asks the daemon and prints what it says.
Result<void> explain(const AuthorityConfig& config, const std::vector<std::string>& arguments);

}  // namespace mutua::authority
