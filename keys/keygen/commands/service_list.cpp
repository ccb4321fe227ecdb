#include <algorithm>

#include "common/fd.hpp"
#include "common/text.hpp"
#include "keys/json_writer.hpp"
#include "keys/keygen/commands/commands.hpp"
#include "keys/keygen/folder/door_folder.hpp"

namespace oneknock::keygen {
namespace {

std::vector<std::string> clients_of(const std::string& service, const Keyring& keyring) {
    std::vector<std::string> names;
    for (const Client& client : keyring.clients)
        if (!client.revoked && std::ranges::find(client.allow, service) != client.allow.end())
            names.push_back(client.name);
    return names;
}

std::string text(const Keyring& keyring) {
    std::vector<std::vector<std::string>> rows{{"SERVICE", "PORT", "CLIENTS"}};
    for (const auto& [name, service] : keyring.door.services) {
        const auto clients = clients_of(name, keyring);
        rows.push_back({name, service.text(), clients.empty() ? "none" : join(clients, {}, ",")});
    }
    return table(rows);
}

SecretBytes document(const Keyring& keyring) {
    JsonWriter writer;
    writer.integer("schema", 1);
    writer.string("door", keyring.door.name);
    writer.begin_array("services");
    for (const auto& [name, service] : keyring.door.services) {
        writer.begin_object();
        writer.string("service", name);
        writer.string("protocol", protocol_name(service.protocol));
        writer.integer("port", service.port);
        writer.strings("clients", clients_of(name, keyring));
        writer.end();
    }
    return std::move(writer).finish();
}

}  // namespace

Result<void> run(const ServiceList& command) {
    const DoorFolder folder(command.folder);
    const auto found = folder.read_what_is_right();
    if (!found) return tl::unexpected(found.error());
    const auto printed = command.json ? write_standard_output(document(found->keyring).bytes())
                                      : write_standard_output(as_bytes(text(found->keyring)));
    return printed.and_then([&] { return found->verdict(); });
}

}  // namespace oneknock::keygen
