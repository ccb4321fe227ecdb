// The object "firewall" of the daemon's configuration, in and out of the file.
#pragma once

#include "common/json.hpp"
#include "keys/config/daemon_config.hpp"
#include "keys/json_writer.hpp"

namespace oneknock {

// Complains about fields that belong to another mode: they would have no effect.
[[nodiscard]] FirewallConfig read_firewall(json::Context& context, const json::Value& value);

void write_firewall(JsonWriter& writer, const FirewallConfig& firewall);

}  // namespace oneknock
