#include "common/files.hpp"
#include "common/log.hpp"
#include "keys/keygen/commands/advice.hpp"
#include "keys/keygen/commands/commands.hpp"
#include "keys/keygen/commands/rotate_door.hpp"
#include "keys/keygen/folder/atomic_files.hpp"
#include "keys/keygen/folder/door_folder.hpp"
#include "keys/keygen/folder/staged_key_file.hpp"
#include "keys/keygen/folder/tell_daemon.hpp"
#include "keys/rotation.hpp"

namespace oneknock::keygen {
namespace {

// A new key for a client who is kept out would be handed out in vain.
Result<void> check_is_let_in(const Client& client, const DoorFolder& folder, UnixTime now) {
    const auto refuse = [&](const std::string& why, const std::string& words) {
        return fail(ExitCode::data, folder.client(client.name) + ": " + client.name + " " + why +
                                        "; to let it in: " + folder.command(words));
    };
    if (client.revoked) return refuse("is revoked", "unrevoke " + client.name);
    if (client.expires && *client.expires < now)
        return refuse("has expired", "limit " + client.name + " --expires DATE");
    if (client.allow.empty()) return refuse("may open nothing", "allow " + client.name + " SERVICE");
    return {};
}

void report(const Rotate& command, const Client& client) {
    log::info("rotated " + client.name + ": generation " + std::to_string(client.generations.back().number) +
              " is now in force");
    for (const Generation& generation : client.generations)
        if (generation.not_after)
            log::info("generation " + std::to_string(generation.number) + " works until " +
                      time_text(*generation.not_after) + "; the daemon ends it earlier once the new one is in use");
    tell_next_step(command.handout, command.output);
}

Result<void> rotate_client(const Rotate& command, const DoorFolder& folder, const Door& door) {
    const std::string path = folder.client(command.client);
    const UnixTime now = read_clocks().wall;
    auto client = folder.read_client_of(door, command.client);
    if (!client) return tl::unexpected(client.error());
    if (is_partly_published(command.output, door, *client)) {
        log::info("an earlier run rotated " + client->name +
                  " but was stopped before it published the key file; doing so now");
        return finish_publishing(command.output, make_key_file(door, *client, now)).map([&] {
            report(command, *client);
        });
    }
    const auto old_text = read_private_file(path);
    if (!old_text) return tl::unexpected(old_text.error());
    if (auto checked = check_is_let_in(*client, folder, now); !checked) return checked;
    if (auto checked = check_output(command.output, folder); !checked) return checked;
    if (auto added = add_generation(client->generations, Secret32::random(), now, command.overlap); !added)
        return added;
    const auto replace = [&path](const SecretBytes& text) { return replace_file(path, text.bytes(), 0600); };
    const Change change{[&] { return replace(client_text(*client)); }, [&] { return replace(*old_text); }};
    return text_of(command.handout, make_key_file(door, *client, now))
        .and_then([&](const SecretBytes& text) { return publish_key_file(command.output, text, change); })
        .map([&] { report(command, *client); });
}

Result<void> rotate_in(const DoorFolder& folder, const Rotate& command) {
    const auto lock = lock_door(folder);
    if (!lock) return tl::unexpected(lock.error());
    if (command.door) return rotate_door(command, folder);
    const auto door = folder.read_door();
    if (!door) return tl::unexpected(door.error());
    return rotate_client(command, folder, *door);
}

// What the folder has now.
Result<Wanted> wanted_after(const DoorFolder& folder, const Rotate& command) {
    if (command.door)
        return folder.read_door().map([](const Door& door) {
            return Wanted{"", true, 0, door.generations.back().number};
        });
    return folder.read_client(command.client).map([](const Client& client) {
        return Wanted{client.name, true, client.generations.back().number};
    });
}

}  // namespace

Result<void> run(const Rotate& command) {
    const DoorFolder folder(command.folder);
    return rotate_in(folder, command)
        .and_then([&] { return wanted_after(folder, command); })
        .and_then([&](const Wanted& w) { return tell_daemon(folder, w); });
}

}  // namespace oneknock::keygen
