#include "keys/keygen/folder/tell_daemon.hpp"

#include <nlohmann/json.hpp>

#include "common/ask_daemon.hpp"
#include "common/log.hpp"
#include "keys/config/daemon_config.hpp"

namespace oneknock::keygen {
namespace {

using Json = nlohmann::json;

constexpr Seconds patience{20};

// What is said where no daemon was told. One that uses the folder sees the change by itself.
constexpr const char* by_itself = "; a daemon that uses this directory takes the change in within 5 s by itself";

bool has(const Json& answer, const Wanted& wanted) {
    const auto number = [&](const char* name) { return answer.value(name, std::uint32_t{0}); };
    if (!wanted.client.empty() && answer.value("let_in", !wanted.let_in) != wanted.let_in) return false;
    if (wanted.let_in && wanted.generation != 0 && number("generation") != wanted.generation) return false;
    return wanted.door_generation == 0 || number("door_generation") == wanted.door_generation;
}

std::string what_is_in_force(const Wanted& wanted) {
    if (wanted.client.empty()) return "generation " + std::to_string(wanted.door_generation) + " of the door's secret";
    return wanted.let_in ? wanted.client + " is let in"
                         : wanted.client + " opens nothing any more, and what it had " + "opened is closed";
}

void warn_of_others(const Json& answer, const std::string& own) {
    long long others = answer.value("key_files_wrong", 0LL);
    if (!own.empty()) --others;
    if (others > 0)
        log::warning("the daemon finds something wrong with " + std::to_string(others) +
                     (others == 1 ? " other file" : " other files") + "; see oneknockctl status");
}

// Nothing went wrong, or it is whom it shall not let in any more that it still lets in.
Result<void> judge(const Json& answer, const std::string& socket, const Wanted& wanted) {
    std::string problem = answer.value("error", std::string());
    if (problem.empty()) problem = answer.value("problem", std::string());
    const bool is_in_force = !answer.contains("error") && has(answer, wanted);
    if (is_in_force) log::info("the daemon on " + socket + " has it in force: " + what_is_in_force(wanted));
    warn_of_others(answer, answer.value("problem", std::string()));
    if (is_in_force) return {};
    if (problem.empty()) problem = "does it use another directory?";
    const std::string text = "the daemon on " + socket + " has not taken this in: " + problem;
    if (!wanted.let_in)
        return fail(ExitCode::unavailable, text + "; " + wanted.client + " is revoked in this directory only");
    log::warning(text);
    return {};
}

}  // namespace

Result<void> tell_daemon(const DoorFolder& folder, const Wanted& wanted) {
    const auto config = read_daemon_config(folder.config());
    if (!config) {
        log::info("no daemon was told of this: " + config.error().message + by_itself);
        return {};
    }
    const std::string& socket = config->socket;
    const auto daemon = connect_to_daemon(socket, patience);
    if (!daemon) {
        log::info("no daemon was told of this: nobody answers on " + socket + by_itself);
        return {};
    }
    const auto text = ask(*daemon, socket, wanted.client.empty() ? "reload" : "reload " + wanted.client, patience);
    const Json answer = text ? Json::parse(*text, nullptr, false) : Json();
    if (answer.is_object()) return judge(answer, socket, wanted);
    const std::string problem = text ? "the daemon's answer cannot be read" : text.error().message;
    return judge({{"error", problem}}, socket, wanted);
}

}  // namespace oneknock::keygen
