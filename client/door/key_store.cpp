#include "client/door/key_store.hpp"

#include <algorithm>
#include <cstdlib>

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/door/passphrase.hpp"
#include "common/nearest_word.hpp"
#include "common/text.hpp"
#include "keys/names.hpp"

namespace oneknock {
namespace {

bool is_file(const std::string& path) {
    struct stat info {};
    return stat(path.c_str(), &info) == 0 && !S_ISDIR(info.st_mode);
}

// Relative paths in the variables are invalid and to be ignored (XDG Base Directory Specification).
std::string absolute_variable(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && value[0] == '/' ? value : "";
}

std::string home_folder() {
    if (auto home = absolute_variable("HOME"); !home.empty()) return home;
    const passwd* user = getpwuid(geteuid());
    return user != nullptr && user->pw_dir != nullptr ? user->pw_dir : "";
}

std::string services_text(const KeyFile& key) {
    const std::string text =
        join(key.services, [](const auto& named) { return named.first + " (" + named.second.text() + ")"; });
    return text.empty() ? "none" : text;
}

}  // namespace

Result<std::string> config_folder() {
    if (const auto folder = absolute_variable("XDG_CONFIG_HOME"); !folder.empty()) return folder + "/oneknock";
    const auto home = home_folder();
    if (home.empty())
        return fail(ExitCode::no_input, "cannot find the home directory; set HOME, or give the path of a key file");
    return home + "/.config/oneknock";
}

Result<std::string> find_door(const std::string& door) {
    if (door.find('/') != std::string::npos || door.ends_with(".json")) return door;
    if (!is_valid_name(door))
        return fail(ExitCode::usage,
                    "DOOR must be the path of a key file or the name of an imported door; " + std::string(name_rule));
    const auto folder = config_folder();
    if (!folder) return tl::unexpected(folder.error());
    const std::string path = *folder + "/" + door + ".json";
    if (is_file(path)) return path;
    return fail(ExitCode::no_input, "no door " + door + ": there is no " + path + "; import a key with: " +
                                        "oneknock import FILE, or give the path of a key file, such as ./" + door);
}

Result<OpenedDoor> open_door(const std::string& door, UnixTime now, std::optional<int> key_fd) {
    auto path = find_door(door);
    if (!path) return tl::unexpected(path.error());
    auto stored = read_stored_key(*path);
    if (!stored) return tl::unexpected(stored.error());
    const KeyFile& clear = clear_part(*stored);
    if (clear.expires && *clear.expires <= now)
        return fail(ExitCode::data, *path + ": this key expired at " + time_text(*clear.expires) +
                                        "; ask the administrator of " + clear.door.name + " for a new one");
    if (!is_encrypted(*stored)) return OpenedDoor{*std::move(path), std::get<KeyFile>(*std::move(stored))};
    auto unlocked = Passphrases(key_fd).unlock(std::get<EncryptedKey>(*stored), *path);
    if (!unlocked) return tl::unexpected(unlocked.error());
    return OpenedDoor{*std::move(path), std::move(unlocked->key)};
}

Result<Service> find_service(const OpenedDoor& door, const std::string& word) {
    if (const auto found = door.key.services.find(word); found != door.key.services.end()) return found->second;
    if (const auto service = Service::parse(word)) return *service;
    std::vector<std::string> names;
    for (const auto& [name, service] : door.key.services) names.push_back(name);
    const std::string meant = did_you_mean(word, names);
    return fail(ExitCode::usage,
                "no service " + word + " in " + door.path + ", which lists: " + services_text(door.key) +
                    (meant.empty() ? "; use one of these names, or a protocol and port such as tcp/22" : meant));
}

bool is_listed(const KeyFile& key, const Service& service) {
    return std::ranges::any_of(key.services, [&](const auto& entry) { return entry.second == service; });
}

}  // namespace oneknock
