#include "common/log.hpp"
#include "keys/keygen/commands/advice.hpp"
#include "keys/keygen/commands/commands.hpp"
#include "keys/keygen/commands/kept_out.hpp"
#include "keys/keygen/folder/door_change.hpp"

namespace oneknock::keygen {
namespace {

std::string expiry_text(const Client& client) { return client.expires ? time_text(*client.expires) : "never"; }

std::string limits_of(const Client& client) {
    return client.name + " may open for at most " + duration_text(client.max_duration) + ", source policy " +
           client.source.text() + ", expires " + expiry_text(client);
}

void report(const Limit& command, const Client& client, const DoorFolder& folder) {
    if (command.source) warn_of_source(client.source);
    log::info(limits_of(client));
    warn_of_what_keeps_out(client, folder, read_clocks().wall);
    log::info(
        "the client's program keeps to the limits in its key file as well: for wider ones it needs a new key file, " +
        folder.command("rotate " + client.name + " -o FILE"));
}

// Limits that are not in force may be wider than the new ones, so that is an error.
Wanted wanted_of(const Client& client) {
    const auto is_in_force = [source = client.source.text(), expires = expiry_text(client),
                              most = client.max_duration.count()](const InForce& now) {
        return now.source == source && now.expires == expires && now.max_duration_s == most;
    };
    return {client.name, is_in_force, limits_of(client), "these limits are"};
}

}  // namespace

Result<void> run(const Limit& command) {
    return change_client(command.folder, command.client, [&](const DoorFolder& folder, Client& client) {
        if (command.source) client.source = *command.source;
        if (command.max_duration) client.max_duration = *command.max_duration;
        if (command.expires) client.expires = *command.expires;
        return folder.replace_client(client).map([&] {
            report(command, client, folder);
            return wanted_of(client);
        });
    });
}

}  // namespace oneknock::keygen
