#include "client/commands/next_key.hpp"

#include <algorithm>

#include "client/ssh/remote_command.hpp"
#include "common/json.hpp"
#include "common/text.hpp"
#include "keys/enrolment.hpp"

namespace oneknock {
namespace {

// The other half lives in this process alone; its end must only be later than the server's clock.
constexpr Seconds time_to_answer = usual_enrolment;

constexpr const char* with_sudo = "sudo -n ";
constexpr const char* answer_name = "the server's answer";

std::string keygen(const RotateOptions& options, const char* command, const KeyFile& key) {
    return std::string(options.sudo ? with_sudo : "") + "oneknock-keygen " + command + " " +
           shell_word(key.client.name) + " --dir " + shell_word(options.folder);
}

Result<RemoteAnswer> ask(const RotateOptions& options, const std::string& command) {
    return run_at({options.host, options.ssh_options}, command);
}

// All that sudo refuses ends with 1, which oneknock-keygen never does.
std::string advice_for(int status, const std::string& command) {
    if (status != 1 || !command.starts_with(with_sudo)) return "";
    return "\nsudo has to permit that there without a password; the lines for sudoers(5) are in oneknock(1), EXAMPLES";
}

tl::unexpected<Error> no_answer(const RemoteAnswer& answer, const std::string& command, const Error& why) {
    if (answer.status == ssh_failed)
        return fail(ExitCode::unavailable, "ssh could not run this at the server, or was cut off: " + command);
    if (answer.status != 0)
        return fail(ExitCode::unavailable, "this failed at the server with status " + std::to_string(answer.status) +
                                               ": " + command + advice_for(answer.status, command));
    return tl::unexpected(why);
}

Result<KeyFile> open_answer(const RemoteAnswer& answer, const EnrolmentKey& half) {
    return parse_sealed(answer.text.text(), answer_name).and_then([&](const SealedForOne& sealed) {
        return open_sealed(sealed, half, answer_name);
    });
}

Result<void> check_is_next(const KeyFile& key, const KeyFile& present) {
    if (key.door.id == present.door.id && key.client.name == present.client.name &&
        key.client.generation > present.client.generation)
        return {};
    return fail(ExitCode::data, std::string(answer_name) + " is not the next key of " + present.client.name);
}

const json::Value* member(const json::Value& object, std::string_view name) {
    const auto found = std::ranges::find(object.members, name, &json::Member::name);
    return found == object.members.end() ? nullptr : &found->value;
}

bool is_used(const json::Value& shown, std::uint32_t generation) {
    const json::Value* generations = member(shown, "generations");
    return generations != nullptr && std::ranges::any_of(generations->items, [&](const json::Value& one) {
               const json::Value* number = member(one, "generation");
               const json::Value* last_used = member(one, "last_used");
               return number != nullptr && number->integer == generation && last_used != nullptr &&
                      last_used->kind == json::Value::Kind::string;
           });
}

// What the server has of the client.
Result<json::Value> show(const RotateOptions& options, const KeyFile& key) {
    const std::string command = keygen(options, "show", key) + " --json";
    auto answer = ask(options, command);
    if (!answer) return tl::unexpected(answer.error());
    auto shown = json::parse(answer->text.text(), answer_name);
    return shown ? std::move(shown) : no_answer(*answer, command, shown.error());
}

}  // namespace

Result<void> check_is_this_door(const RotateOptions& options, const KeyFile& present) {
    const auto shown = show(options, present);
    if (!shown) return tl::unexpected(shown.error());
    const json::Value* id = member(*shown, "door_id");
    if (id == nullptr || id->text != to_hex(present.door.id.bytes))
        return fail(ExitCode::data, options.folder + " at the server is not of the door " + present.door.name +
                                        "; say with --dir where that is, or with --via which server");
    const json::Value* knows_uses = member(*shown, "knows_uses");
    if (knows_uses != nullptr && knows_uses->boolean) return {};
    return fail(ExitCode::unavailable,
                "the server does not know which keys were used: no daemon has run there yet, or "
                "its audit cannot be read; nothing was changed");
}

Result<KeyFile> fetch_next_key(const RotateOptions& options, const KeyFile& present) {
    const EnrolmentKey half = EnrolmentKey::generate(read_clocks().wall + time_to_answer);
    const std::string command = keygen(options, "rotate", present) + " --for " + enrolment_text(half.shown()) + " -o -";
    const auto answer = ask(options, command);
    if (!answer) return tl::unexpected(answer.error());
    auto key = open_answer(*answer, half);
    if (!key) return no_answer(*answer, command, key.error());
    if (const auto checked = check_is_next(*key, present); !checked) return tl::unexpected(checked.error());
    return key;
}

Result<bool> was_used(const RotateOptions& options, const KeyFile& key) {
    return show(options, key).map([&](const json::Value& shown) { return is_used(shown, key.client.generation); });
}

}  // namespace oneknock
