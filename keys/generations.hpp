// The "generations" of a door or a client, in and out of their files.
#pragma once

#include <vector>

#include "common/json.hpp"
#include "keys/json_writer.hpp"
#include "keys/keyring.hpp"

namespace oneknock {

// At least one, numbers ascending, each valid for some time; else complains.
[[nodiscard]] std::vector<Generation> read_generations(json::Context& context, json::Object& object);

void write_generations(JsonWriter& writer, const std::vector<Generation>& generations);

}  // namespace oneknock
