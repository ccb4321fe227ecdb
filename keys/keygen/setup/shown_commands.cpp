#include "keys/keygen/setup/shown_commands.hpp"

#include "common/text.hpp"

namespace oneknock::keygen {
namespace {

std::string option(const std::string& name, const std::string& value, const std::string& usual) {
    return value == usual ? "" : " " + name + " " + shell_word(value);
}

}  // namespace

std::string keygen_command(const Init& door, const std::string& words) {
    return "oneknock-keygen " + words + option("--dir", door.folder, default_folder);
}

std::string init_command(const Init& door) {
    std::string text = keygen_command(door, "init") + " --name " + door.name + " --address " + door.address;
    for (const auto& [name, service] : door.services) text += " --service " + name + "=" + service.text();
    if (door.span.text() != PortSpan().text()) text += " --span " + shell_word(door.span.text());
    if (door.interfaces != std::vector<std::string>{"any"})
        for (const std::string& interface : door.interfaces) text += " --interface " + shell_word(interface);
    return text + option("--state", door.state, default_state) + option("--socket", door.socket, default_socket) +
           option("--table", door.table, default_table);
}

std::string add_command(const Init& door, const Add& add) {
    std::string text = keygen_command(door, "add " + add.client);
    for (const std::string& service : add.allow) text += " --allow " + service;
    text += option("--source", add.source.text(), "same") +
            option("--max-duration", duration_text(add.max_duration), "60s");
    if (add.handout.recipient) text += " --for " + enrolment_text(*add.handout.recipient);
    return text + (add.handout.is_code() ? " --qr" : " -o " + shell_word(add.output));
}

std::string daemon_command(const Init& door, const std::string& words) {
    return "oneknockd" + option("--config", DoorFolder(door.folder).config(), default_config) +
           (words.empty() ? "" : " " + words);
}

}  // namespace oneknock::keygen
