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

struct Answer {
    InForce in_force;
    std::string error;    // nothing was taken in
    std::string problem;  // with the client's own file
    long long wrong_files = 0;
};

InForce read_in_force(const Json& answer) {
    InForce in_force;
    in_force.services = answer.value("services", in_force.services);
    in_force.door_generation = answer.value("door_generation", in_force.door_generation);
    if (answer.contains("let_in")) in_force.let_in = answer.value("let_in", false);
    in_force.generation = answer.value("generation", in_force.generation);
    in_force.allow = answer.value("allow", in_force.allow);
    in_force.source = answer.value("source", in_force.source);
    in_force.expires = answer.value("expires", in_force.expires);
    in_force.max_duration_s = answer.value("max_duration_s", in_force.max_duration_s);
    return in_force;
}

Answer read_answer(const Result<std::string>& text) {
    if (!text) return {{}, text.error().message, "", 0};
    try {
        const Json answer = Json::parse(*text);
        return {read_in_force(answer), answer.value("error", std::string()), answer.value("problem", std::string()),
                answer.value("key_files_wrong", 0LL)};
    } catch (const Json::exception&) {
        return {{}, "its answer cannot be read; is it of another version than this program?", "", 0};
    }
}

void warn_of_others(const Answer& answer) {
    const long long others = answer.wrong_files - (answer.problem.empty() ? 0 : 1);
    if (others > 0)
        log::warning("the daemon finds something wrong with " + std::to_string(others) +
                     (others == 1 ? " other file" : " other files") + "; see oneknockctl status");
}

Result<void> judge(const Answer& answer, const std::string& socket, const Wanted& wanted) {
    const bool is_in_force = answer.error.empty() && wanted.is_in_force(answer.in_force);
    if (is_in_force) log::info("the daemon on " + socket + " has it in force: " + wanted.text);
    warn_of_others(answer);
    if (is_in_force) return {};
    const std::string why = !answer.error.empty()     ? answer.error
                            : !answer.problem.empty() ? answer.problem
                                                      : "does it use another directory?";
    const std::string text = "the daemon on " + socket + " has not taken this in: " + why;
    if (!wanted.taken_away.empty())
        return fail(ExitCode::unavailable, text + "; " + wanted.taken_away + " in this directory only");
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
    const std::string question = wanted.client.empty() ? "reload" : "reload " + wanted.client;
    return judge(read_answer(ask(*daemon, socket, question, patience)), socket, wanted);
}

}  // namespace oneknock::keygen
