#include "keys/keygen/setup/questions.hpp"

#include <algorithm>

#include "common/json.hpp"
#include "common/protocol/special_purpose.hpp"
#include "common/text.hpp"
#include "keys/keygen/arguments.hpp"
#include "keys/keygen/folder/atomic_files.hpp"
#include "keys/keygen/setup/handover.hpp"

namespace oneknock::keygen {
namespace {

constexpr const char* usual_client = "laptop";
constexpr std::uint16_t usual_ssh_port = 22;
constexpr std::size_t most_shown = 20;

std::string with_service(const std::string& name, const Service& service) { return name + "=" + service.text(); }

bool is_for_administrators(const Listening& one, const std::optional<SshSession>& session) {
    if (one.service.protocol != protocol_tcp) return false;
    return one.program == "sshd" || one.service.port == usual_ssh_port ||
           (session && one.service.port == session->port);
}

std::string program_of(const std::vector<Listening>& listening, const Service& service) {
    const auto one = std::ranges::find(listening, service, &Listening::service);
    return one == listening.end() ? "" : printable(one->program);
}

void show(const std::vector<Listening>& listening, const std::map<std::string, Service>& names) {
    if (names.empty()) return Terminal::say("Nothing listens here that others reach.");
    Terminal::say("What listens here, as others reach it:");
    std::size_t shown = 0;
    for (const auto& [name, service] : names) {
        if (++shown > most_shown)
            return Terminal::say("    and " + std::to_string(names.size() - most_shown) + " more");
        std::string line = "    " + with_service(name, service);
        if (const std::string program = program_of(listening, service); !program.empty()) line += "  (" + program + ")";
        Terminal::say(line);
    }
}

Result<void> ask_name(const Terminal& terminal, Init& door) {
    if (!door.name.empty()) return {};
    return terminal.ask<std::string>("Name of the door, as clients say it", proposed_name(), name_argument)
        .map([&](std::string name) { door.name = std::move(name); });
}

Result<void> ask_address(const Terminal& terminal, Init& door) {
    if (!door.address.empty()) return {};
    const std::string proposal = proposed_address();
    const auto numeric = Address::parse(proposal);
    if (numeric && !is_globally_reachable(*numeric))
        Terminal::say(proposal +
                      " is of a network of its own: clients elsewhere need the name or address that leads "
                      "to it from there.");
    return terminal.ask<std::string>("Name or address that clients knock at", proposal, host_argument)
        .map([&](std::string address) { door.address = std::move(address); });
}

// It may be started later; a trial with it is in vain.
void tell_of_silent(const std::map<std::string, Service>& services, const std::vector<Listening>& listening) {
    for (const auto& [name, service] : services)
        if (std::ranges::find(listening, service, &Listening::service) == listening.end())
            Terminal::say("Nothing listens at " + service.text() + " at the moment.");
}

Result<void> ask_services(const Terminal& terminal, Init& door) {
    if (!door.services.empty()) return {};
    const auto listening = listening_here();
    const auto names = named(listening);
    show(listening, names);
    using Services = std::map<std::string, Service>;
    return terminal
        .ask<Services>("What knocks open and nothing else, such as ssh or vpn=udp/51820",
                       proposed_services(listening, names, ssh_session()),
                       [&](const std::string& answer) { return services_answer(answer, names); })
        .map([&](Services services) {
            tell_of_silent(services, listening);
            door.services = std::move(services);
        });
}

Result<std::string> new_client(const Setup& setup, const Person& person, const std::string& answer) {
    auto name = name_argument(answer);
    if (!name || setup.handout.is_code()) return name;
    const std::string file = key_file_of(person, *name);
    if (!path_exists(file)) return name;
    return fail(ExitCode::cannot_create, file + " already exists, where the key would be put; choose another name");
}

Result<void> ask_client(const Terminal& terminal, Setup& setup, const Person& person) {
    const auto check = [&](const std::string& answer) { return new_client(setup, person, answer); };
    if (!setup.client.empty()) return check(setup.client).map([](const std::string&) {});
    return terminal.ask<std::string>("Name of the first client", usual_client, check).map([&](std::string client) {
        setup.client = std::move(client);
    });
}

}  // namespace

Result<std::map<std::string, Service>> services_answer(const std::string& answer,
                                                       const std::map<std::string, Service>& known) {
    std::vector<std::string> words;
    for (std::size_t at = 0; at < answer.size();) {
        const auto end = std::min(answer.find_first_of(" ,\t", at), answer.size());
        const std::string word = answer.substr(at, end - at);
        at = end + 1;
        const auto listed = known.find(word);
        if (!word.empty()) words.push_back(listed == known.end() ? word : with_service(word, listed->second));
    }
    if (words.empty()) return fail(ExitCode::usage, "a door needs a service, such as ssh=tcp/22");
    return services_argument(words);
}

std::string proposed_services(const std::vector<Listening>& listening, const std::map<std::string, Service>& names,
                              const std::optional<SshSession>& session) {
    std::vector<std::string> proposed;
    for (const auto& [name, service] : names)
        for (const Listening& one : listening)
            if (one.service == service && is_for_administrators(one, session)) proposed.push_back(name);
    return join(proposed, {}, " ");
}

Result<Setup> ask_what_is_missing(const Terminal& terminal, Setup setup, const Person& person) {
    return ask_name(terminal, setup.door)
        .and_then([&] { return ask_address(terminal, setup.door); })
        .and_then([&] { return ask_services(terminal, setup.door); })
        .and_then([&] { return ask_client(terminal, setup, person); })
        .map([&] { return std::move(setup); });
}

}  // namespace oneknock::keygen
