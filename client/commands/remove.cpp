#include <unistd.h>

#include "client/commands/commands.hpp"
#include "client/door/kernel_keyring.hpp"
#include "client/door/keys_lock.hpp"
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

Result<void> remove_files(const DoorFiles& files) {
    const std::string folder = folder_of(files.key);
    const auto lock = KeysLock::wait_for(folder);
    if (!lock) return tl::unexpected(lock.error());
    forget(files.key);
    for (const std::string& path : {files.key, files.defaults, files.pending})
        if (auto gone = remove_file(path); !gone) return gone;
    return sync_folder(folder);
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
    const std::string target = target_of(files->key);
    if (auto removed = remove_files(*files); !removed) return removed;
    std::string text = "removed: " + printable(files->key) + "\n";
    if (!target.empty()) text += "left: " + printable(target) + ", which it led to: rm " + shell_word(target) + "\n";
    return write_standard_output(as_bytes(text));
}

}  // namespace oneknock
