#include "client/commands/commands.hpp"
#include "client/door/keys_lock.hpp"
#include "client/options/door_defaults.hpp"
#include "common/files.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

// "via=tcp" sets it, "via=" takes it back.
Result<void> assign(OptionValues& values, const std::string& assignment) {
    const auto equals = assignment.find('=');
    if (equals == assignment.npos)
        return fail(ExitCode::usage, "\"" + printable(assignment) +
                                         "\": must be NAME=VALUE, such as via=tcp, or NAME= "
                                         "to go back to what oneknock does by itself");
    const std::string name = assignment.substr(0, equals), value = assignment.substr(equals + 1);
    if (auto known = check_name(name); !known) return known;
    if (value.empty()) values.erase(name);
    else values.insert_or_assign(name, value);
    return check_values(values);
}

Result<void> write(const std::string& path, const OptionValues& values) {
    return KeysLock::wait_for(folder_of(path)).and_then([&](const KeysLock&) {
        return values.empty() ? remove_file(path) : replace_file(path, defaults_text(values).bytes());
    });
}

}  // namespace

Result<void> set_command(const SetOptions& options) {
    if (is_path(options.door))
        return fail(ExitCode::usage,
                    "set takes the name of an imported door (see: oneknock list); import the key "
                    "first: oneknock import " +
                        shell_word(options.door));
    const auto files = find_imported(options.door);
    if (!files) return tl::unexpected(files.error());
    auto values = read_defaults_file(files->defaults);
    if (!values) return tl::unexpected(values.error());
    for (const std::string& assignment : options.assignments)
        if (auto assigned = assign(*values, assignment); !assigned) return assigned;
    if (!options.assignments.empty())
        if (auto written = write(files->defaults, *values); !written) return written;
    std::string text;
    for (const auto& [name, value] : *values) text += name + "=" + value + "\n";
    return write_standard_output(as_bytes(text));
}

}  // namespace oneknock
