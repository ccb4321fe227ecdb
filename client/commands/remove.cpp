#include <unistd.h>

#include "client/commands/commands.hpp"
#include "client/door/kernel_keyring.hpp"
#include "common/files.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

// Where a link leads to; "" for a file.
std::string target_of(const std::string& path) {
    char first = 0;
    return readlink(path.c_str(), &first, 1) < 0 ? "" : real_path(path);
}

void forget(const std::string& path) {
    const auto stored = read_stored_key(path);
    if (stored && is_encrypted(*stored)) kernel_keyring::forget(std::get<EncryptedKey>(*stored).lock);
}

}  // namespace

// Broken keys can be removed as well.
Result<void> remove_command(const RemoveOptions& options) {
    if (is_path(options.door))
        return fail(ExitCode::usage,
                    "remove takes the name of an imported door (see: oneknock list); a key file "
                    "elsewhere is removed with: rm " +
                        shell_word(options.door));
    const auto files = find_imported(options.door);
    if (!files) return tl::unexpected(files.error());
    forget(files->key);
    const std::string target = target_of(files->key);
    for (const std::string& path : {files->key, files->defaults, files->pending})
        if (const auto gone = remove_file(path); !gone) return gone;
    if (const auto synced = sync_folder(folder_of(files->key)); !synced) return synced;
    std::string text = "removed: " + printable(files->key) + "\n";
    if (!target.empty()) text += "left: " + printable(target) + ", which it led to: rm " + shell_word(target) + "\n";
    return write_standard_output(as_bytes(text));
}

}  // namespace oneknock
