#include "common/files.hpp"
#include "common/log.hpp"
#include "keys/keygen/commands/advice.hpp"
#include "keys/keygen/commands/commands.hpp"
#include "keys/keygen/commands/kept_out.hpp"
#include "keys/keygen/commands/rotate_door.hpp"
#include "keys/keygen/folder/atomic_files.hpp"
#include "keys/keygen/folder/door_change.hpp"
#include "keys/keygen/folder/staged_key_file.hpp"
#include "keys/rotation.hpp"

namespace oneknock::keygen {
namespace {

// A new key for a client who is kept out would be handed out in vain.
Result<void> check_is_let_in(const Client& client, const DoorFolder& folder, UnixTime now) {
    const auto reasons = kept_out_by_policy(client, now);
    if (reasons.empty()) return {};
    const KeptOut& first = reasons.front();
    return fail(ExitCode::data, folder.client(client.name) + ": " + client.name + " " + first.why +
                                    "; to let it in: " + folder.command(first.words));
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

// Only where the command asks for what that file is: a key in clear.
Result<void> finish_rotating(const Rotate& command, const Client& client, const KeyFile& key) {
    const std::string earlier = "rotated " + client.name;
    if (!command.handout.is_in_clear()) return refuse_to_finish(command.output, earlier + " for a key file in clear");
    return finish_publishing(command.output, earlier, key).map([&] { report(command, client); });
}

Result<void> rotate_client(const Rotate& command, const DoorFolder& folder) {
    const std::string path = folder.client(command.client);
    const UnixTime now = read_clocks().wall;
    if (auto checked = check_recipient(command.handout, now); !checked) return checked;
    const auto door = folder.read_door();
    if (!door) return tl::unexpected(door.error());
    auto client = folder.read_client_of(*door, command.client);
    if (!client) return tl::unexpected(client.error());
    if (is_partly_published(command.output, *door, *client))
        return finish_rotating(command, *client, make_key_file(*door, *client, now));
    auto old_text = read_private_file(path);
    if (!old_text) return tl::unexpected(old_text.error());
    if (auto checked = check_is_let_in(*client, folder, now); !checked) return checked;
    if (auto checked = check_output(command.output, folder); !checked) return checked;
    if (auto added = add_generation(client->generations, Secret32::random(), now, command.overlap); !added)
        return added;
    const Change change{path, client_text(*client), std::move(*old_text)};
    return text_of(command.handout, make_key_file(*door, *client, now))
        .and_then([&](const SecretBytes& text) { return publish_key_file(command.output, text, change); })
        .map([&] { report(command, *client); });
}

// What the folder has now.
Result<Wanted> wanted_after(const Rotate& command, const DoorFolder& folder) {
    if (command.door)
        return folder.read_door().map([](const Door& door) {
            const auto newest = door.generations.back().number;
            return Wanted{"", [newest](const InForce& now) { return now.door_generation == newest; },
                          "generation " + std::to_string(newest) + " of the door's secret", ""};
        });
    return folder.read_client(command.client).map([](const Client& client) {
        const auto newest = client.generations.back().number;
        const auto is_in_force = [newest](const InForce& now) {
            return now.let_in == true && now.generation == newest;
        };
        return Wanted{client.name, is_in_force, client.name + " is let in", ""};
    });
}

}  // namespace

Result<void> run(const Rotate& command) {
    return change_door(command.folder, [&](const DoorFolder& folder) {
        const auto rotated = command.door ? rotate_door(command, folder) : rotate_client(command, folder);
        return rotated.and_then([&] { return wanted_after(command, folder); });
    });
}

}  // namespace oneknock::keygen
