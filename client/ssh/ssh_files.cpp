#include "client/ssh/ssh_files.hpp"

#include <cerrno>

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/door/door_folder.hpp"
#include "client/ssh/ssh_stanza.hpp"
#include "common/file_lock.hpp"
#include "common/files.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

Result<void> make_folder(const std::string& folder) {
    if (mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST) return {};
    return tl::unexpected(system_error("create", folder, ExitCode::cannot_create));
}

// Two of us at a time would each write the configuration as it was before the other. Another user who may read the
// folder does not hold us up.
Result<Descriptor> lock_folder(const std::string& folder) {
    Descriptor fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const bool is_held =
        fd && wait_a_while_for_lock(fd.get(), "another oneknock ssh-config that is changing " + printable(folder));
    if (!is_held && !(fd && errno == EWOULDBLOCK))
        return tl::unexpected(system_error("lock", folder, ExitCode::cannot_create));
    return fd;
}

struct Config {
    std::string path;  // where the link leads
    mode_t mode = 0600;
    std::optional<std::string> text;  // nothing: there is none
};

Result<Config> read_config(const std::string& path) {
    if (!is_there(path)) return Config{path, 0600, std::nullopt};
    Config config{real_path(path), 0600, std::nullopt};
    struct stat info {};
    if (config.path.empty() || stat(config.path.c_str(), &info) != 0)
        return fail(ExitCode::no_input, printable(path) + " is a symbolic link that leads nowhere; mend or remove it");
    const auto content = read_file(config.path);
    if (!content) return tl::unexpected(content.error());
    config.mode = info.st_mode & 07777;
    config.text = std::string(content->text());
    return config;
}

Result<void> write_config(const Config& config, const std::optional<std::string>& text) {
    if (text == config.text) return {};
    if (!text) return remove_file(config.path).and_then([&] { return sync_folder(folder_of(config.path)); });
    return replace_file(config.path, as_bytes(*text), config.mode);
}

Result<void> check_ours(const std::string& path) {
    const auto text = read_file(path);
    if (!text) return tl::unexpected(text.error());
    if (is_ssh_file(text->text())) return {};
    return fail(ExitCode::cannot_create,
                printable(path) + " was not made by oneknock ssh-config; left as it is. Move it elsewhere");
}

}  // namespace

Result<SshFiles> ssh_files(const std::string& door) {
    const passwd* user = getpwuid(getuid());
    if (user == nullptr || user->pw_dir == nullptr || user->pw_dir[0] != '/')
        return fail(ExitCode::no_input,
                    "the user database has no home directory for this user, where ssh would look "
                    "for its configuration; write the stanza to where ssh is told with -F");
    const std::string folder = std::string(user->pw_dir) + "/.ssh";
    const std::string our_folder = folder + "/oneknock.d";
    return SshFiles{folder, folder + "/config", our_folder, our_folder + "/" + door + ".conf"};
}

Result<void> install_ssh_file(const SshFiles& files, std::string_view text) {
    for (const std::string& folder : {files.folder, files.our_folder})
        if (auto made = make_folder(folder); !made) return made;
    const auto lock = lock_folder(files.folder);
    if (!lock) return tl::unexpected(lock.error());
    if (is_there(files.ours))
        if (auto ours = check_ours(files.ours); !ours) return ours;
    const auto config = read_config(files.config);
    if (!config) return tl::unexpected(config.error());
    if (auto written = replace_file(files.ours, as_bytes(std::string(text))); !written) return written;
    return write_config(*config, with_include(config->text));
}

Result<void> remove_ssh_file(const SshFiles& files) {
    if (!is_there(files.ours))
        return fail(ExitCode::no_input,
                    "there is no " + printable(files.ours) + ": nothing is installed for this door");
    const auto lock = lock_folder(files.folder);
    if (!lock) return tl::unexpected(lock.error());
    if (auto ours = check_ours(files.ours); !ours) return ours;
    const auto config = read_config(files.config);
    if (!config) return tl::unexpected(config.error());
    if (auto gone = remove_file(files.ours); !gone) return gone;
    if (rmdir(files.our_folder.c_str()) != 0)  // another door's file is in it, or the user's
        return errno == ENOTEMPTY || errno == EEXIST
                   ? sync_folder(files.our_folder)
                   : tl::unexpected(system_error("remove", files.our_folder, ExitCode::cannot_create));
    return write_config(*config, config->text ? without_include(*config->text) : std::nullopt);
}

}  // namespace oneknock
