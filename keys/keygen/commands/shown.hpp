// How `list` and `show` print what they tell of keys: cells of tables, and JSON.
#pragma once

#include <string>
#include <vector>

#include "keys/json_writer.hpp"
#include "keys/keygen/folder/door_folder.hpp"
#include "keys/keygen/folder/overview.hpp"

namespace oneknock::keygen {

using Row = std::vector<std::string>;

[[nodiscard]] std::string time_or(const std::optional<UnixTime>& time, const std::string& otherwise);

// The earlier of two ends; nothing is no end.
[[nodiscard]] std::optional<UnixTime> earlier(const std::optional<UnixTime>& one, const std::optional<UnixTime>& other);

// When it was last used; "never", or "unknown" where there is no audit to tell.
[[nodiscard]] std::string last_use(const GenerationView& generation, bool known);
[[nodiscard]] std::string last_door_generation(const Overview& overview, const ClientView& view);

// Members of the object that is open in `writer`.
void write_door(JsonWriter& writer, const Overview& overview, const Door& door);
void write_client(JsonWriter& writer, const ClientView& view);
void write_generations(JsonWriter& writer, std::string_view name, const std::vector<GenerationView>& generations);

// The overview of a folder's keyring, with what its audit tells; without one, a warning. This process gives up what it
// may do, so it comes after everything is read.
[[nodiscard]] Result<Overview> overview_of(const DoorFolder& folder, const Keyring& keyring);

}  // namespace oneknock::keygen
