#include <filesystem>

#include <unistd.h>

#include "common/files.hpp"
#include "common/json.hpp"
#include "common/log.hpp"
#include "keys/key_file.hpp"
#include "keys/keygen/commands.hpp"
#include "keys/keygen/door_folder.hpp"
#include "keys/keygen/output.hpp"

namespace oneknock::keygen {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view standard_output = "-";

Result<void> check_services(const Add& command, const DoorFolder& folder, const Door& door) {
    for (const std::string& service : command.allow)
        if (!door.services.contains(service))
            return fail(Exit::data, folder.door() + ": the door has no service " + json::quote(service) + "; it has " +
                                        service_names(door.services));
    return {};
}

// Before anything is written; create_private_file makes sure again.
Result<void> check_targets(const Add& command, const DoorFolder& folder) {
    if (is_taken(folder.client(command.client)))
        return fail(Exit::cannot_create, folder.client(command.client) + ": the door has this client already; choose " +
                                             "another name, or remove the file first to give the name a new key");
    if (command.output == standard_output) return {};
    if (is_taken(command.output))
        return fail(Exit::cannot_create, command.output + ": exists already and is left as it is; choose another name");
    std::error_code error;
    if (fs::equivalent(folder_of(command.output), folder.clients(), error))
        return fail(Exit::usage, command.output + ": the key file goes to the client; " + folder.clients() +
                                     " holds the server's files, so choose another folder");
    return {};
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

// Takes the door's newest secret and the client's.
KeyFile make_key_file(const Door& door, const Client& client, UnixTime now) {
    const Generation& newest = door.generations.back();
    const Generation& own = client.generations.back();
    KeyFile key;
    key.door = {door.name, door.address, door.id, door.span, newest.secret.copy(), newest.number};
    key.client = {client.name, own.secret.copy(), own.number, client.source, client.max_duration};
    for (const std::string& service : client.allow) key.services.emplace(service, door.services.at(service));
    key.created = now;
    key.expires = client.expires;
    return key;
}

Result<void> write_key(const std::string& output, const SecretBytes& text, Undo& undo) {
    if (output != standard_output)
        return create_private_file(output, text.bytes()).map([&] { undo.made(output); });
    if (isatty(STDOUT_FILENO) != 0) log::warning("the lines that follow hold a secret; clear the screen when done");
    return write_standard_output(text.bytes());
}

void report(const Add& command) {
    if (command.source.mode() != SourcePolicy::Mode::same)
        log::warning("under the source policy " + command.source.text() + " a copy of this client's knock that " +
                     "comes first may open the door for the copier; prefer `same` where the client knows its address");
    std::string services;
    for (const std::string& service : command.allow) services += (services.empty() ? "" : ", ") + service;
    log::info("added " + command.client + ", who may open " + services);
    if (command.output != standard_output)
        log::info("next: copy " + command.output + " to the client, where `oneknock import` takes it in; then remove " +
                  "it here");
}

}  // namespace

Result<void> run(const Add& command) {
    const DoorFolder folder(command.folder);
    const UnixTime now = read_clocks().wall;
    if (command.expires && *command.expires <= now)
        return fail(Exit::usage, "--expires: " + time_text(*command.expires) + " has passed already");
    const auto door = folder.read_door();
    if (!door) return tl::unexpected(door.error());
    if (const auto paths = client_paths(folder.clients()); !paths) return tl::unexpected(paths.error());
    if (auto checked = check_services(command, folder, *door); !checked) return checked;
    if (auto checked = check_targets(command, folder); !checked) return checked;

    const Client client = make_client(command, now);
    Undo undo;
    if (auto written = write_key(command.output, key_file_text(make_key_file(*door, client, now)), undo); !written)
        return written;
    auto committed = create_private_file(folder.client(client.name), client_text(client).bytes());
    if (!committed) {
        if (command.output == standard_output) committed.error().message += "; the key printed is void";
        return committed;
    }
    undo.keep();
    report(command);
    return {};
}

}  // namespace oneknock::keygen
