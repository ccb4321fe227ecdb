#include "common/log.hpp"
#include "keys/keygen/commands/commands.hpp"
#include "keys/keygen/commands/kept_out.hpp"
#include "keys/keygen/folder/door_change.hpp"

namespace oneknock::keygen {
namespace {

// The file is written if that changes it.
Result<void> set_revoked(const DoorFolder& folder, Client& client, bool revoked) {
    if (client.revoked == revoked) return {};
    client.revoked = revoked;
    return folder.replace_client(client);
}

Result<Wanted> revoke(const DoorFolder& folder, Client& client) {
    const bool was_revoked = client.revoked;
    return set_revoked(folder, client, true).map([&] {
        log::info(was_revoked ? client.name + " is already revoked" : "revoked " + client.name);
        return Wanted{client.name, [](const InForce& now) { return now.let_in == false; },
                      client.name + " opens nothing any more, and what it had opened is closed",
                      client.name + " is revoked"};
    });
}

Result<Wanted> unrevoke(const DoorFolder& folder, Client& client) {
    if (auto checked = folder.check_with_door(client); !checked) return tl::unexpected(checked.error());
    const bool was_revoked = client.revoked;
    return set_revoked(folder, client, false).map([&] {
        log::info(was_revoked ? client.name + " is let in again, with the keys that it had"
                              : client.name + " is not revoked");
        const bool is_kept_out = warn_of_what_keeps_out(client, folder, read_clocks().wall);
        return Wanted{client.name, [](const InForce& now) { return now.let_in == true; },
                      client.name + (is_kept_out ? " is not revoked" : " is let in"), ""};
    });
}

}  // namespace

Result<void> run(const Revoke& command) { return change_client(command.folder, command.client, revoke); }
Result<void> run(const Unrevoke& command) { return change_client(command.folder, command.client, unrevoke); }

}  // namespace oneknock::keygen
