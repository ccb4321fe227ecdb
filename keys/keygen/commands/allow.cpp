#include <algorithm>

#include "common/log.hpp"
#include "common/text.hpp"
#include "keys/keygen/commands/commands.hpp"
#include "keys/keygen/folder/door_folder.hpp"

namespace oneknock::keygen {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
    return std::ranges::find(names, name) != names.end();
}

// "web (tcp/443)"; a name alone where the door has no such service any more.
std::string named(const std::vector<std::string>& names, const Door& door) {
    return join(names, [&](const std::string& name) {
        const auto service = door.services.find(name);
        return service == door.services.end() ? name : name + " (" + service->second.text() + ")";
    });
}

// What it may open in the end, and whether it is let in at all.
void report(const Client& client, const Door& door, const DoorFolder& folder) {
    if (client.allow.empty())
        log::info(client.name +
                  " may open nothing now; to change that: " + folder.command("allow " + client.name + " SERVICE"));
    else log::info(client.name + " may open " + named(client.allow, door));
    if (client.revoked)
        log::warning(client.name + " is revoked, so it can open nothing; to let it in again: " +
                     folder.command("unrevoke " + client.name));
}

// A key file lists the services of the time when it was made. They are names for the user, nothing more.
void explain_names(const std::vector<std::string>& added, const Door& door) {
    log::info("its key file stays as it is: if that does not list the name " + join(added) + ", the client can say " +
              join(added, [&](const std::string& name) { return door.services.at(name).text(); }) + " instead");
}

}  // namespace

Result<void> run(const Allow& command) {
    const DoorFolder folder(command.folder);
    const auto lock = lock_door(folder);
    if (!lock) return tl::unexpected(lock.error());
    const auto door = folder.read_door();
    if (!door) return tl::unexpected(door.error());
    auto client = folder.read_client_of(*door, command.client);
    if (!client) return tl::unexpected(client.error());
    if (auto checked = check_services_exist(command.services, *door, folder.door()); !checked) return checked;
    std::vector<std::string> added = command.services;
    std::erase_if(added, [&](const std::string& name) { return contains(client->allow, name); });
    client->allow.insert(client->allow.end(), added.begin(), added.end());
    if (!added.empty())
        if (auto written = folder.replace_client(*client); !written) return written;
    report(*client, *door, folder);
    if (!added.empty()) explain_names(added, *door);
    return {};
}

// What the client's file names and the door does not have can be taken away as well: it keeps the client out.
Result<void> run(const Deny& command) {
    const DoorFolder folder(command.folder);
    const auto lock = lock_door(folder);
    if (!lock) return tl::unexpected(lock.error());
    const auto door = folder.read_door();
    if (!door) return tl::unexpected(door.error());
    auto client = folder.read_client(command.client);
    if (!client) return tl::unexpected(client.error());
    std::vector<std::string> unknown = command.services;
    std::erase_if(unknown, [&](const std::string& name) { return contains(client->allow, name); });
    if (auto checked = check_services_exist(unknown, *door, folder.door()); !checked) return checked;
    const auto taken =
        std::erase_if(client->allow, [&](const std::string& name) { return contains(command.services, name); });
    if (taken > 0)
        if (auto written = folder.replace_client(*client); !written) return written;
    report(*client, *door, folder);
    if (taken > 0)
        log::info("a running daemon closes what it has opened of the rest; sessions that are established go on");
    return {};
}

}  // namespace oneknock::keygen
