#include "common/log.hpp"
#include "common/text.hpp"
#include "keys/keygen/commands/advice.hpp"
#include "keys/keygen/commands/commands.hpp"
#include "keys/keygen/commands/steps.hpp"
#include "keys/keygen/folder/atomic_files.hpp"
#include "keys/keygen/folder/door_change.hpp"
#include "keys/keygen/folder/staged_key_file.hpp"

namespace oneknock::keygen {
namespace {

// Before anything is written; create_private_file makes sure again.
Result<void> check_client_is_new(const Add& command, const DoorFolder& folder) {
    if (!path_exists(folder.client(command.client))) return {};
    return fail(ExitCode::cannot_create, folder.client(command.client) +
                                             ": the door already has this client; use `rotate` to " +
                                             "give it a new key, or choose another name");
}

Client make_client(const Add& command, UnixTime now) {
    Client client;
    client.name = command.client;
    client.allow = command.allow;
    client.source = command.source;
    client.max_duration = command.max_duration;
    client.expires = command.expires;
    client.generations.push_back({1, Secret32::random(), now, std::nullopt});
    return client;
}

Result<void> write_client_and_key(const Add& command, const DoorFolder& folder, const Client& client,
                                  const KeyFile& key) {
    const Change change{folder.client(client.name), client_text(client), std::nullopt};
    return text_of(command.handout, key).and_then([&](const SecretBytes& text) {
        return publish_key_file(command.output, text, change);
    });
}

// Of an earlier run that was killed.
std::optional<Client> half_added(const Add& command, const DoorFolder& folder, const Door& door) {
    auto client = folder.read_client(command.client);
    if (!client || !check_client(*client, door, folder.client(command.client))) return std::nullopt;
    if (!is_partly_published(command.output, door, *client)) return std::nullopt;
    return std::move(*client);
}

// Only what the command asks for: the key is in clear in that file, and the door has the policy of that run.
Result<void> finish_adding(const Add& command, const Client& wanted, const Client& half_added, const KeyFile& key) {
    const std::string earlier = "added " + half_added.name;
    if (!command.handout.is_in_clear()) return refuse_to_finish(command.output, earlier + " for a key file in clear");
    if (!has_equal_policy(wanted, half_added))
        return refuse_to_finish(command.output, earlier + " with other services or limits");
    return finish_publishing(command.output, earlier, key);
}

void report(const Add& command) {
    warn_of_source(command.source);
    log::info("added " + command.client + ", which may open " + join(command.allow));
    tell_next_step(command.handout, command.output);
}

}  // namespace

Result<void> add_client(const DoorFolder& folder, const Add& command) {
    const UnixTime now = read_clocks().wall;
    if (command.expires && *command.expires <= now)
        return fail(ExitCode::usage, "--expires: " + time_text(*command.expires) + " is in the past");
    if (auto checked = check_recipient(command.handout, now); !checked) return checked;
    const auto door = folder.read_door();
    if (!door) return tl::unexpected(door.error());
    if (const auto paths = client_paths(folder.clients()); !paths) return tl::unexpected(paths.error());
    const Client client = make_client(command, now);
    if (const auto half = half_added(command, folder, *door))
        return finish_adding(command, client, *half, make_key_file(*door, *half, now));
    if (auto checked = check_services_exist(command.allow, *door, folder.door()); !checked) return checked;
    if (auto checked = check_client_is_new(command, folder); !checked) return checked;
    if (auto checked = check_output(command.output, folder); !checked) return checked;
    return write_client_and_key(command, folder, client, make_key_file(*door, client, now));
}

Result<void> run(const Add& command) {
    return change_door(command.folder, [&](const DoorFolder& folder) {
        return add_client(folder, command).map([&] {
            report(command);
            return Wanted{command.client, [](const InForce& now) { return now.let_in == true; },
                          command.client + " is let in", ""};
        });
    });
}

}  // namespace oneknock::keygen
