#include <algorithm>
#include <utility>

#include "common/log.hpp"
#include "keys/keygen/commands/commands.hpp"
#include "keys/keygen/folder/door_folder.hpp"
#include "keys/keygen/folder/tell_daemon.hpp"

namespace oneknock::keygen {
namespace {

// A client may be out for other reasons as well.
void tell_what_keeps_out(const Client& client, const DoorFolder& folder, UnixTime now) {
    const auto warn = [&](const std::string& why, const std::string& words) {
        log::warning(client.name + " " + why + "; to change that: " + folder.command(words));
    };
    if (client.expires && *client.expires < now)
        warn("expired at " + time_text(*client.expires), "limit " + client.name + " --expires DATE");
    if (std::ranges::all_of(client.generations, [now](const auto& one) { return has_ended(one, now); }))
        warn("has no key that has not ended", "rotate " + client.name + " -o FILE");
    if (client.allow.empty()) warn("may open nothing", "allow " + client.name + " SERVICE");
}

Result<void> revoke_in(const DoorFolder& folder, const Revoke& command) {
    const auto lock = lock_door(folder);
    if (!lock) return tl::unexpected(lock.error());
    auto client = folder.read_client(command.client);
    if (!client) return tl::unexpected(client.error());
    if (client->revoked) {
        log::info(command.client + " is already revoked");
        return {};
    }
    client->revoked = true;
    if (auto written = folder.replace_client(*client); !written) return written;
    log::info("revoked " + command.client);
    return {};
}

}  // namespace

Result<void> run(const Revoke& command) {
    const DoorFolder folder(command.folder);
    return revoke_in(folder, command).and_then([&] { return tell_daemon(folder, {command.client, false}); });
}

Result<void> run(const Unrevoke& command) {
    const DoorFolder folder(command.folder);
    const auto lock = lock_door(folder);
    if (!lock) return tl::unexpected(lock.error());
    const auto door = folder.read_door();
    if (!door) return tl::unexpected(door.error());
    auto client = folder.read_client_of(*door, command.client);
    if (!client) return tl::unexpected(client.error());
    const bool was_revoked = std::exchange(client->revoked, false);
    if (was_revoked)
        if (auto written = folder.replace_client(*client); !written) return written;
    log::info(was_revoked ? command.client + " is let in again, with the keys that it had"
                          : command.client + " is not revoked");
    tell_what_keeps_out(*client, folder, read_clocks().wall);
    return {};
}

}  // namespace oneknock::keygen
