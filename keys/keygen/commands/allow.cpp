#include <algorithm>

#include "common/log.hpp"
#include "common/text.hpp"
#include "keys/keygen/commands/commands.hpp"
#include "keys/keygen/commands/kept_out.hpp"
#include "keys/keygen/folder/door_change.hpp"

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

// What it may open in the end. Whether it is let in at all is another matter.
std::string text_of(const Client& client, const Door& door) {
    return client.name + " may open " + (client.allow.empty() ? "nothing" : named(client.allow, door));
}

void report(const Client& client, const Door& door, const DoorFolder& folder) {
    if (!client.allow.empty()) log::info(text_of(client, door));
    warn_of_what_keeps_out(client, folder, read_clocks().wall);
}

// A key file lists the services of the time when it was made. They are names for the user, nothing more.
void explain_names(const std::vector<std::string>& added, const Door& door) {
    log::info("its key file stays as it is: if that does not list the name " + join(added) + ", the client can say " +
              join(added, [&](const std::string& name) { return door.services.at(name).text(); }) + " instead");
}

Result<Wanted> allow(const Allow& command, const DoorFolder& folder, const Door& door, Client& client) {
    if (auto checked = check_client(client, door, folder.client(client.name)); !checked)
        return tl::unexpected(checked.error());
    if (auto checked = check_services_exist(command.services, door, folder.door()); !checked)
        return tl::unexpected(checked.error());
    std::vector<std::string> added = command.services;
    std::erase_if(added, [&](const std::string& name) { return contains(client.allow, name); });
    client.allow.insert(client.allow.end(), added.begin(), added.end());
    if (!added.empty())
        if (auto written = folder.replace_client(client); !written) return tl::unexpected(written.error());
    report(client, door, folder);
    if (!added.empty()) explain_names(added, door);
    const auto has_all = [services = command.services](const InForce& now) {
        return std::ranges::all_of(services, [&](const std::string& name) { return contains(now.allow, name); });
    };
    return Wanted{client.name, has_all, text_of(client, door), ""};
}

// What the client's file names and the door does not have can be taken away as well: it keeps the client out.
Result<Wanted> deny(const Deny& command, const DoorFolder& folder, const Door& door, Client& client) {
    std::vector<std::string> unknown = command.services;
    std::erase_if(unknown, [&](const std::string& name) { return contains(client.allow, name); });
    if (auto checked = check_services_exist(unknown, door, folder.door()); !checked)
        return tl::unexpected(checked.error());
    const auto is_denied = [services = command.services](const std::string& name) { return contains(services, name); };
    const auto taken = std::erase_if(client.allow, is_denied);
    if (taken > 0)
        if (auto written = folder.replace_client(client); !written) return tl::unexpected(written.error());
    report(client, door, folder);
    if (taken > 0)
        log::info("a running daemon closes what it has opened of the rest; sessions that are established go on");
    const auto has_none = [is_denied](const InForce& now) {
        return now.let_in.has_value() && std::ranges::none_of(now.allow, is_denied);
    };
    return Wanted{client.name, has_none, text_of(client, door),
                  client.name + " may no longer open " + join(command.services)};
}

}  // namespace

Result<void> run(const Allow& command) {
    return change_client(command.folder, command.client, [&](const DoorFolder& folder, Client& client) {
        return folder.read_door().and_then([&](const Door& door) { return allow(command, folder, door, client); });
    });
}

Result<void> run(const Deny& command) {
    return change_client(command.folder, command.client, [&](const DoorFolder& folder, Client& client) {
        return folder.read_door().and_then([&](const Door& door) { return deny(command, folder, door, client); });
    });
}

}  // namespace oneknock::keygen
