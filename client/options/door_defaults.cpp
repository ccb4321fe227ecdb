#include "client/options/door_defaults.hpp"

#include <algorithm>

#include <sys/stat.h>
#include <unistd.h>

#include "client/door/door_folder.hpp"
#include "common/files.hpp"
#include "common/json.hpp"
#include "common/nearest_word.hpp"
#include "common/text.hpp"
#include "keys/json_writer.hpp"

namespace oneknock {
namespace {

constexpr std::string_view kind = "door-defaults";
constexpr const char* family = "family";

struct Default {
    const char* name;
    std::optional<std::string> KnockWords::*word;
};
constexpr Default defaults[] = {{"for", &KnockWords::duration},   {"via", &KnockWords::via},
                                {"knocks", &KnockWords::packets}, {"pace", &KnockWords::pace},
                                {"source", &KnockWords::source},  {"time-offset", &KnockWords::time_offset}};

Result<void> check_family(const OptionValues& values) {
    const auto found = values.find(family);
    if (found == values.end() || found->second == "4" || found->second == "6") return {};
    return fail(ExitCode::usage, "family " + found->second + ": must be 4 or 6");
}

Result<void> check_owner(int fd, const std::string& path) {
    struct stat info {};
    if (fstat(fd, &info) != 0) return tl::unexpected(system_error("examine", path));
    if ((info.st_mode & 022) == 0 && (info.st_uid == 0 || info.st_uid == geteuid())) return {};
    return fail(ExitCode::permission, printable(path) +
                                          ": others may write to it, who could have the door opened for "
                                          "themselves; make it yours, and run: chmod go-w " +
                                          shell_word(path));
}

}  // namespace

std::vector<std::string> names_of_defaults() {
    std::vector<std::string> names;
    for (const Default& each : defaults) names.emplace_back(each.name);
    names.emplace_back(family);
    return names;
}

Result<void> check_name(const std::string& name) {
    const auto names = names_of_defaults();
    if (std::ranges::find(names, name) != names.end()) return {};
    return fail(ExitCode::usage, "a door has no default called " + printable(name) + did_you_mean(name, names) +
                                     " There are: " + join(names));
}

void fill_in(KnockWords& words, const OptionValues& values) {
    for (const auto& [name, word] : defaults)
        if (const auto found = values.find(name); found != values.end() && !(words.*word)) words.*word = found->second;
    const auto found = values.find(family);
    if (found == values.end() || words.ipv4 || words.ipv6) return;
    (found->second == "4" ? words.ipv4 : words.ipv6) = true;
}

Result<void> check_values(const OptionValues& values) {
    for (const auto& [name, value] : values)
        if (auto known = check_name(name); !known) return known;
    if (auto valid = check_family(values); !valid) return valid;
    KnockWords words;
    fill_in(words, values);
    return read_knock_options(Operation::open, words).map([](const KnockOptions&) {});
}

Result<OptionValues> parse_defaults(std::string_view text, const std::string& path) {
    const auto root = json::parse(text, path);
    if (!root) return tl::unexpected(root.error());
    json::Context context(path);
    json::Object object(context, *root);
    object.header(kind);
    OptionValues values;
    for (const std::string& name : names_of_defaults()) {
        auto value = object.optional_string(name);
        if (!value) continue;
        if (const auto valid = check_values({{name, *value}}); !valid) object.complain(name, valid.error().message);
        values.emplace(name, *std::move(value));
    }
    object.finish();
    if (context.failed()) return tl::unexpected(*context.error());
    if (const auto valid = check_values(values); !valid)
        return fail(ExitCode::data, printable(path) + ": " + valid.error().message);
    return values;
}

SecretBytes defaults_text(const OptionValues& values) {
    JsonWriter writer;
    writer.string("oneknock", kind);
    writer.integer("version", 1);
    for (const auto& [name, value] : values) writer.string(name, value);
    return std::move(writer).finish();
}

Result<OptionValues> read_defaults_file(const std::string& path) {
    if (!is_there(path)) return OptionValues{};
    const auto fd = open_to_read(path);
    if (!fd) return tl::unexpected(fd.error());
    if (const auto safe = check_owner(fd->get(), path); !safe) return tl::unexpected(safe.error());
    const auto text = read_file(fd->get(), path);
    if (!text) return tl::unexpected(text.error());
    return parse_defaults(text->text(), path);
}

Result<DoorDefaults> read_defaults(const std::string& door) {
    const auto folder = config_folder();
    if (!folder || !is_door_name(door)) return DoorDefaults{};  // whoever looks for the key says what is wrong
    const DoorFiles files(*folder, door);
    return read_defaults_file(files.defaults).map([&](OptionValues&& values) {
        return DoorDefaults{files.defaults, std::move(values)};
    });
}

}  // namespace oneknock
