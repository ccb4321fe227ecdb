#include <utility>
#include <vector>

#include "client/commands/commands.hpp"
#include "client/door/key_store.hpp"
#include "common/fd.hpp"
#include "common/json.hpp"
#include "common/log.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

struct Listed {
    std::string name;  // what to call it on the command line
    StoredKey stored;

    [[nodiscard]] const KeyFile& key() const { return clear_part(stored); }
};

std::string expiry(const KeyFile& key) { return key.expires ? time_text(*key.expires) : "never"; }

std::string services(const KeyFile& key) {
    return join(
        key.services, [](const auto& named) { return named.first + "=" + named.second.text(); }, " ");
}

std::string doors_table(const std::vector<Listed>& doors) {
    std::vector<std::vector<std::string>> rows{
        {"DOOR", "ADDRESS", "SERVICES", "CLIENT", "GENERATION", "PASSPHRASE", "EXPIRES"}};
    for (const Listed& listed : doors) {
        const KeyFile& key = listed.key();
        rows.push_back({listed.name, key.door.address, services(key), key.client.name,
                        std::to_string(key.client.generation), is_encrypted(listed.stored) ? "yes" : "no",
                        expiry(key)});
    }
    return table(rows);
}

std::string json_object(const Listed& listed) {
    const KeyFile& key = listed.key();
    std::string text = R"({"name":)" + json::quote(listed.name) + R"(,"door":)" + json::quote(key.door.name);
    text += R"(,"address":)" + json::quote(key.door.address) + R"(,"services":{)";
    std::string separator;
    for (const auto& [service, value] : key.services) {
        text += separator + json::quote(service) + ":" + json::quote(value.text());
        separator = ",";
    }
    text +=
        R"(},"client":)" + json::quote(key.client.name) + R"(,"generation":)" + std::to_string(key.client.generation);
    text += R"(,"door_generation":)" + std::to_string(key.door.generation);
    text += std::string(R"(,"passphrase":)") + (is_encrypted(listed.stored) ? "true" : "false");
    return text + R"(,"expires":)" + (key.expires ? json::quote(time_text(*key.expires)) : "null") + "}";
}

std::string json_text(const std::vector<Listed>& doors) {
    std::string text = R"({"schema":1,"doors":[)";
    for (const Listed& door : doors) text += (&door == doors.data() ? "" : ",") + json_object(door);
    return text + "]}";
}

}  // namespace

Result<void> list_command(const ListOptions& options) {
    const auto folder = config_folder();
    if (!folder) return tl::unexpected(folder.error());
    std::vector<Listed> doors;
    std::optional<Error> broken;  // the last one, for main to print; the other doors are shown all the same
    for (const std::string& name : names_in(*folder)) {
        if (!is_door_name(name)) {
            log::warning(printable(*folder + "/" + name) + ".json: no door can have this name; rename the file");
            continue;
        }
        auto key = read_stored_key(DoorFiles(*folder, name).key);
        if (key) doors.push_back({name, *std::move(key)});
        else if (const auto earlier = std::exchange(broken, key.error())) log::warning(earlier->message);
    }
    if (options.json || !doors.empty())
        if (const auto printed =
                write_standard_output(as_bytes(options.json ? json_text(doors) + "\n" : doors_table(doors)));
            !printed)
            return printed;
    if (broken) return tl::unexpected(*broken);
    if (doors.empty())
        log::info("no imported doors in " + printable(*folder) + "; import one with: oneknock import FILE");
    return {};
}

}  // namespace oneknock
