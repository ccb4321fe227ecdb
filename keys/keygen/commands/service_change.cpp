#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "common/json.hpp"
#include "common/log.hpp"
#include "common/text.hpp"
#include "keys/config/daemon_config.hpp"
#include "keys/keygen/commands/commands.hpp"
#include "keys/keygen/folder/door_change.hpp"

namespace oneknock::keygen {
namespace {

using Services = std::map<std::string, Service>;

std::string named(const Services& services) {
    return join(services, [](const auto& entry) { return entry.first + " (" + entry.second.text() + ")"; });
}

bool is_guard(const DoorFolder& folder) {
    const auto config = read_daemon_config(folder.config());
    return !config || config->firewall.mode == FirewallMode::guard;
}

Result<void> check_is_free(const std::string& name, const Service& service, const Door& door) {
    if (const auto same = door.services.find(name); same != door.services.end())
        return fail(ExitCode::cannot_create, "the door's service " + json::quote(name) + " is " + same->second.text() +
                                                 "; choose another name, or first: oneknock-keygen service remove " +
                                                 name);
    const auto same = std::ranges::find(door.services, service, &Services::value_type::second);
    if (same == door.services.end()) return {};
    return fail(ExitCode::cannot_create, service.text() + " is the door's service " + json::quote(same->first) +
                                             " already; let clients open that: oneknock-keygen allow CLIENT " +
                                             same->first);
}

Result<Services> take_in(const Services& wanted, Door& door, const std::string& file) {
    Services added;
    for (const auto& [name, service] : wanted) {
        if (const auto there = door.services.find(name); there != door.services.end() && there->second == service)
            continue;
        if (auto checked = check_is_free(name, service, door); !checked)
            return fail(checked.error().code, file + ": " + checked.error().message);
        added.emplace(name, service);
        door.services.emplace(name, service);
    }
    if (door.services.size() > most_services)
        return fail(ExitCode::usage, file + ": a door has at most " + std::to_string(most_services) + " services");
    return added;
}

// The service by which the administrator is logged in, who may lock himself out.
std::optional<Service> own_session() {
    const char* const connection = std::getenv("SSH_CONNECTION");  // the last word is the port of this host
    if (connection == nullptr) return std::nullopt;
    const std::string_view words = connection;
    return Service::parse("tcp/" + std::string(words.substr(words.rfind(' ') + 1)));
}

void warn_of_lock_out(const Services& added) {
    const auto own = own_session();
    if (own && std::ranges::find(added, *own, &Services::value_type::second) != added.end())
        log::warning("this ssh session uses " + own->text() + ": stay logged in until a knock has let you in again");
}

void report_added(const Services& added, const DoorFolder& folder) {
    log::info("added " + named(added) + " to the services of the door");
    if (is_guard(folder))
        log::warning("a running daemon closes " + join(added, [](const auto& entry) { return entry.second.text(); }) +
                     " now for everybody who has not knocked; established TCP sessions go on");
    else log::warning("the firewall mode is not guard: rules of your own must keep this closed");
    if (is_guard(folder)) warn_of_lock_out(added);
    log::info("next: " + folder.command("allow CLIENT " + added.begin()->first));
}

Result<Services> take_out(const std::vector<std::string>& names, Door& door, const std::string& file) {
    if (auto checked = check_services_exist(names, door, file); !checked) return tl::unexpected(checked.error());
    Services removed;
    for (const std::string& name : names) {
        removed.emplace(name, door.services.at(name));
        door.services.erase(name);
    }
    if (door.services.empty())
        return fail(ExitCode::data, file + ": these are all of the door's services, and it needs one; first: " +
                                        "oneknock-keygen service add NAME=PROTOCOL/PORT");
    return removed;
}

// Before the door's own file: whatever stops this command, no client's file names a service that the door lacks.
Result<std::vector<std::string>> deny_everybody(const DoorFolder& folder, std::vector<Client>& clients,
                                                const Services& removed) {
    std::vector<std::string> denied;
    for (Client& client : clients) {
        const auto taken = std::erase_if(client.allow, [&](const std::string& name) { return removed.contains(name); });
        if (taken == 0) continue;
        if (auto written = folder.replace_client(client); !written) return tl::unexpected(written.error());
        denied.push_back(client.name);
    }
    return denied;
}

void report_removed(const Services& removed, const std::vector<std::string>& denied, const DoorFolder& folder) {
    log::info("removed " + named(removed) + " from the services of the door" +
              (denied.empty() ? "" : ", and from what these clients may open: " + join(denied)));
    const std::string ports = join(removed, [](const auto& entry) { return entry.second.text(); });
    if (is_guard(folder))
        log::warning("a running daemon does not close " + ports + " any more: whoever reaches this host reaches what " +
                     "listens there, unless another firewall or the program itself refuses");
    else log::warning("no knock opens " + ports + " any more; the rules that close it are yours, and stay");
}

// Of the whole door: the daemon has each of these, or none of them.
Wanted wanted_with(const Services& services, const std::string& text) {
    const auto has_all = [services](const InForce& now) {
        return std::ranges::all_of(services, [&](const auto& entry) {
            const auto there = now.services.find(entry.first);
            return there != now.services.end() && there->second == entry.second.text();
        });
    };
    return {"", has_all, text, ""};
}
Wanted wanted_without(const Services& services, const std::string& text) {
    const auto has_none = [services](const InForce& now) {
        return !now.services.empty() &&
               std::ranges::none_of(services, [&](const auto& entry) { return now.services.contains(entry.first); });
    };
    return {"", has_none, text, text};
}

Result<Wanted> add(const ServiceAdd& command, const DoorFolder& folder) {
    auto door = folder.read_door();
    if (!door) return tl::unexpected(door.error());
    const auto added = take_in(command.services, *door, folder.door());
    if (!added) return tl::unexpected(added.error());
    const Wanted wanted = wanted_with(command.services, "the door has " + named(command.services));
    if (added->empty()) {
        log::info("the door has " + named(command.services) + " already");
        return wanted;
    }
    return folder.replace_door(*door).map([&] {
        report_added(*added, folder);
        return wanted;
    });
}

Result<Wanted> remove(const ServiceRemove& command, const DoorFolder& folder) {
    auto found = folder.read_what_is_right();
    if (!found) return tl::unexpected(found.error());
    Door& door = found->keyring.door;
    const auto removed = take_out(command.services, door, folder.door());
    if (!removed) return tl::unexpected(removed.error());
    // What takes away does not wait until everything else is in order.
    for (const Error& problem : found->problems) log::warning(problem.message);
    const auto denied = deny_everybody(folder, found->keyring.clients, *removed);
    if (!denied) return tl::unexpected(denied.error());
    return folder.replace_door(door).map([&] {
        report_removed(*removed, *denied, folder);
        return wanted_without(*removed, named(*removed) + (removed->size() == 1 ? " is removed" : " are removed"));
    });
}

}  // namespace

Result<void> run(const ServiceAdd& command) {
    return change_door(command.folder, [&](const DoorFolder& folder) { return add(command, folder); });
}

Result<void> run(const ServiceRemove& command) {
    return change_door(command.folder, [&](const DoorFolder& folder) { return remove(command, folder); });
}

}  // namespace oneknock::keygen
