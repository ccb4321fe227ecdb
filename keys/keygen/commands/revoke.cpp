#include "common/log.hpp"
#include "keys/keygen/commands/commands.hpp"
#include "keys/keygen/folder/atomic_files.hpp"
#include "keys/keygen/folder/door_folder.hpp"

namespace oneknock::keygen {

Result<void> run(const Revoke& command) {
    const DoorFolder folder(command.folder);
    const auto lock = lock_door(folder);
    if (!lock) return tl::unexpected(lock.error());
    auto client = folder.read_client(command.client);
    if (!client) return tl::unexpected(client.error());
    if (client->revoked) {
        log::info(command.client + " is already revoked");
        return {};
    }
    client->revoked = true;
    if (auto written = replace_file(folder.client(command.client), client_text(*client).bytes(), 0600); !written)
        return written;
    log::info("revoked " + command.client + "; a running daemon closes everything it has opened");
    return {};
}

}  // namespace oneknock::keygen
