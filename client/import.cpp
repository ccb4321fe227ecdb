#include <cerrno>

#include <sys/stat.h>
#include <unistd.h>

#include "client/commands.hpp"
#include "client/door.hpp"
#include "client/output.hpp"
#include "common/files.hpp"
#include "keys/names.hpp"

namespace oneknock {
namespace {

// Locked memory is scarce, and a pipe's size is not known before its end. A key file has about a kilobyte.
constexpr std::size_t largest_piped = 16 * 1024;

Result<SecretBytes> read_standard_input() {
    SecretBytes content(largest_piped);
    std::size_t length = 0;
    for (;;) {
        const auto room = content.bytes().subspan(length);
        const auto got = read(STDIN_FILENO, room.data(), room.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return tl::unexpected(system_error("read", "standard input", Exit::data));
        if (got == 0) break;
        length += static_cast<std::size_t>(got);
        if (length == largest_piped) return fail(Exit::data, "standard input: too large for a key file");
    }
    content.shrink(length);
    return content;
}

// Each missing part of the path, private to this user.
Result<void> make_folders(const std::string& folder) {
    for (std::size_t slash = folder.find('/', 1);; slash = folder.find('/', slash + 1)) {
        const std::string part = folder.substr(0, slash);
        if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST)
            return tl::unexpected(system_error("create the folder", part, Exit::cannot_create));
        if (slash == std::string::npos) return {};
    }
}

}  // namespace

Result<std::string> import_key(const std::string& file) {
    const bool piped = file == "-";
    const auto content = piped ? read_standard_input() : read_private_file(file);
    if (!content) return tl::unexpected(content.error());
    const auto key = parse_key_file(content->text(), piped ? "standard input" : file);
    if (!key) return tl::unexpected(key.error());
    const std::string& name = key->door.name;
    if (!is_valid_name(name))  // it becomes a file's name
        return fail(Exit::data, file + ": the door has no valid name; " + std::string(name_rule));

    const auto folder = config_folder();
    if (!folder) return tl::unexpected(folder.error());
    if (const auto made = make_folders(*folder); !made) return tl::unexpected(made.error());
    const std::string path = *folder + "/" + name + ".json";
    if (const auto created = create_private_file(path, content->bytes()); !created)
        return tl::unexpected(created.error());
    return path;
}

Result<void> import_command(const ImportOptions& options) {
    const auto path = import_key(options.file);
    if (!path) return tl::unexpected(path.error());
    return print_line("imported: " + *path);
}

}  // namespace oneknock
