#include "common/log.hpp"
#include "keys/keygen/commands/advice.hpp"
#include "keys/keygen/commands/commands.hpp"
#include "keys/keygen/folder/door_folder.hpp"

namespace oneknock::keygen {
namespace {

void report(const Client& client, const DoorFolder& folder) {
    log::info(client.name + " may open for at most " + duration_text(client.max_duration) + ", source policy " +
              client.source.text() + ", expires " + (client.expires ? time_text(*client.expires) : "never"));
    log::info(
        "the client's program keeps to the limits in its key file as well: for wider ones it needs a new key file, " +
        folder.command("rotate " + client.name + " -o FILE"));
}

}  // namespace

Result<void> run(const Limit& command) {
    const DoorFolder folder(command.folder);
    const auto lock = lock_door(folder);
    if (!lock) return tl::unexpected(lock.error());
    auto client = folder.read_client(command.client);
    if (!client) return tl::unexpected(client.error());
    if (command.source) client->source = *command.source;
    if (command.max_duration) client->max_duration = *command.max_duration;
    if (command.expires) client->expires = *command.expires;
    if (command.source) warn_of_source(client->source);
    if (client->expires && *client->expires <= read_clocks().wall)
        log::warning(time_text(*client->expires) + " is in the past: the client is out from now on");
    if (auto written = folder.replace_client(*client); !written) return written;
    report(*client, folder);
    return {};
}

}  // namespace oneknock::keygen
