#include <filesystem>

#include "common/bytes.hpp"
#include "common/files.hpp"
#include "common/log.hpp"
#include "common/text.hpp"
#include "keys/keygen/commands/commands.hpp"
#include "keys/keygen/commands/steps.hpp"
#include "keys/keygen/folder/atomic_files.hpp"
#include "keys/keygen/folder/door_folder.hpp"
#include "keys/record_files.hpp"

namespace oneknock::keygen {
namespace {

namespace fs = std::filesystem;

Door new_door(const Init& command) {
    Door door;
    door.name = command.name;
    door.address = command.address;
    fill_random(door.id.bytes);
    door.span = command.span;
    door.services = command.services;
    door.generations.push_back({1, Secret32::random(), read_clocks().wall, std::nullopt});
    return door;
}

// The paths stay relative, so that the folder can be moved.
DaemonConfig make_config(const Init& command) {
    DaemonConfig config;
    config.door = "door.json";
    config.clients = "clients.d";
    config.interfaces = command.interfaces;
    config.state = command.state;
    config.socket = command.socket;
    config.firewall.own_table = command.table;
    return config;
}

Result<void> write_folder(const DoorFolder& folder, const Door& door, const DaemonConfig& config, Undo& undo) {
    const auto note = [&undo](const std::string& path) { return [&undo, path] { undo.made(path); }; };
    if (!path_exists(folder.path()))
        if (auto made = make_private_folder(folder.path()).map(note(folder.path())); !made) return made;
    return make_private_folder(folder.clients())
        .map(note(folder.clients()))
        .and_then([&] { return create_private_file(folder.door(), door_text(door).bytes()); })
        .map(note(folder.door()))
        .and_then([&] { return create_private_file(folder.config(), as_bytes(daemon_config_text(config))); })
        .map(note(folder.config()));
}

Result<void> make_state_folder(const std::string& state) {
    std::error_code error;
    if (fs::is_directory(state, error)) return {};
    fs::create_directories(fs::path(state).parent_path(), error);  // what failed, the next line says
    return make_private_folder(state);
}

// The daemon treats a missing replay record as lost and refuses knocks for two tolerances. The file
// STATE/new-door, with the door's id, tells it that this door never had one. Where it cannot be written the door works
// all the same after that window, so what fails here is a warning.
void announce_new_door(const std::string& state, const DoorId& door) {
    const std::string record = state + "/" + record_file_name;
    if (path_exists(record)) {
        log::warning(record + " is the replay record of an earlier door; if that door is still in use, give this one " +
                     "its own state directory (field \"state\" of oneknockd.json), otherwise remove the record");
        return;
    }
    const std::string text = to_hex(door.bytes) + "\n";
    auto done = make_state_folder(state);
    if (done) done = replace_file(state + "/" + new_door_name, as_bytes(text), 0644);
    if (!done)
        log::warning(done.error().message +
                     "; the daemon will refuse knocks for the first two minutes, as if its replay " +
                     "record had been lost");
}

// What two doors on a host cannot share. It is a warning, since a folder may be on its way to another host.
void warn_of_what_is_shared(const DaemonConfig& config, const DaemonConfig& other) {
    std::vector<std::string> shared;
    if (other.firewall.mode != FirewallMode::set && other.firewall.own_table == config.firewall.own_table)
        shared.push_back("table " + config.firewall.own_table + " (--table)");
    if (other.state == config.state) shared.push_back("state directory " + config.state + " (--state)");
    if (other.socket == config.socket) shared.push_back("socket " + config.socket + " (--socket)");
    if (!shared.empty())
        log::warning(other.path + " has the same " + join(shared) +
                     "; if both doors are to be on this host, give each " + "its own");
}

// Doors of a host lie beside each other, as a rule.
void warn_of_other_doors(const DoorFolder& folder, const DaemonConfig& config) {
    std::error_code error;
    for (fs::directory_iterator at(folder_of(folder.path()), error), end; !error && at != end; at.increment(error)) {
        const DoorFolder beside(at->path().string());
        if (at->path().filename() == fs::path(folder.path()).filename() || !path_exists(beside.config())) continue;
        if (const auto other = read_daemon_config(beside.config())) warn_of_what_is_shared(config, *other);
    }
}

}  // namespace

Result<void> check_no_door(const DoorFolder& folder) {
    for (const std::string& path : {folder.config(), folder.door(), folder.clients()})
        if (path_exists(path))
            return fail(ExitCode::cannot_create,
                        path + " already exists; not overwritten. Use another directory for the new door");
    return {};
}

Result<void> make_door(const Init& command) {
    const DoorFolder folder(command.folder);
    if (auto checked = check_no_door(folder); !checked) return checked;
    const Door door = new_door(command);
    const DaemonConfig config = make_config(command);
    Undo undo;
    if (auto written = write_folder(folder, door, config, undo); !written) return written;
    undo.keep();
    warn_of_other_doors(folder, config);
    announce_new_door(command.state, door.id);
    log::info("wrote " + folder.config() + ", " + folder.door() + " and " + folder.clients());
    return {};
}

Result<void> run(const Init& command) {
    if (auto made = make_door(command); !made) return made;
    const DoorFolder folder(command.folder);
    log::info("next: oneknock-keygen add --dir " + shell_word(folder.path()) + " CLIENT --allow " +
              command.services.begin()->first + " -o CLIENT.json");
    log::info("then: oneknockd --config " + shell_word(folder.config()));
    return {};
}

}  // namespace oneknock::keygen
