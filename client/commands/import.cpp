#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/commands/commands.hpp"
#include "client/commands/import_place.hpp"
#include "client/door/key_store.hpp"
#include "client/door/passphrase.hpp"
#include "common/fd.hpp"
#include "common/files.hpp"
#include "common/log.hpp"
#include "common/text.hpp"
#include "keys/compact_key.hpp"
#include "keys/key_encryption.hpp"

namespace oneknock {
namespace {

// Locked memory is scarce, and a pipe's size is not known before its end. A key file has about a kilobyte.
constexpr std::size_t largest_piped = 16 * 1024;

// Standard input, or what a shell's <(COMMAND) stands for: it is read once, and nothing of it is left.
bool is_piped(const std::string& file) {
    struct stat info {};
    return file == "-" || (stat(file.c_str(), &info) == 0 && S_ISFIFO(info.st_mode));
}

Result<SecretBytes> read_pipe(int fd, const std::string& name) {
    SecretBytes content(largest_piped);
    std::size_t length = 0;
    for (;;) {
        const auto room = content.bytes().subspan(length);
        const auto got = read(fd, room.data(), room.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return tl::unexpected(system_error("read", name, ExitCode::data));
        if (got == 0) break;
        length += static_cast<std::size_t>(got);
        if (length == largest_piped) return fail(ExitCode::data, printable(name) + ": too large for a key file");
    }
    content.shrink(length);
    return content;
}

// Each missing part of the path, private to this user.
Result<void> make_folders(const std::string& folder) {
    for (std::size_t slash = folder.find('/', 1);; slash = folder.find('/', slash + 1)) {
        const std::string part = folder.substr(0, slash);
        if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST)
            return tl::unexpected(system_error("create the folder", part, ExitCode::cannot_create));
        if (slash == std::string::npos) return {};
    }
}

// Under a passphrase where one is wanted, or where the key it replaces has one: then under the same.
Result<StoredKey> lock_as_wanted(StoredKey key, const ImportPlace& place, const ImportOptions& options) {
    const std::string& path = place.files.key;
    const bool was_locked = place.older && is_encrypted(*place.older);
    if (is_encrypted(key) || (!was_locked && !options.passphrase)) return key;
    Passphrases passphrases(options.key_fd);
    auto passphrase =
        was_locked
            ? passphrases.unlock(std::get<EncryptedKey>(*place.older), path).map([](Passphrases::Unlocked&& unlocked) {
                  return std::move(unlocked.passphrase);
              })
            : passphrases.ask_new("new passphrase for " + path);
    if (!passphrase) return tl::unexpected(passphrase.error());
    auto locked = encrypt_key(std::get<KeyFile>(key), *passphrase);
    if (!locked) return tl::unexpected(locked.error());
    return StoredKey{std::move(*locked)};
}

Result<SecretBytes> read_source(const std::string& file) {
    if (file == "-") return read_pipe(STDIN_FILENO, "standard input");
    if (!is_piped(file)) return read_private_file(file);
    const Descriptor pipe(open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!pipe) return tl::unexpected(system_error("open", file, ExitCode::no_input));
    return read_pipe(pipe.get(), file);
}

Result<StoredKey> read_key(const std::string& file) {
    const auto content = read_source(file);
    if (!content) return tl::unexpected(content.error());
    const std::string name = file == "-" ? "standard input" : file;
    if (!is_compact_key(content->text())) return parse_stored_key(content->text(), name);
    return parse_compact_key(content->text(), name).map([](CompactKey&& compact) {
        return StoredKey{std::move(compact.key)};
    });
}

Result<void> store(const ImportPlace& place, const StoredKey& key) {
    return place.older ? replace_stored_key(place.files.key, *place.older, key)
                       : create_private_file(place.files.key, stored_key_text(key).bytes());
}

// Others who may write in the folder can swap one door's key for another's.
void warn_of_loose_folder(const std::string& folder) {
    struct stat info {};
    if (stat(folder.c_str(), &info) == 0 && (info.st_mode & 022) != 0)
        log::warning(printable(folder) + ": others may write here; run: chmod go-w " + shell_word(folder));
}

std::string copies(const Imported& imported, const std::string& file) {
    if (is_piped(file)) return "";
    return "left: " + printable(file) + " still holds the key" +
           (imported.locked_here ? ", without a passphrase" : "") + "; once the door has opened, remove it: rm " +
           shell_word(file) + "\n";
}

std::string next_step(const KeyFile& key, const std::string& name) {
    const auto is_tcp = [](const auto& service) { return service.second.protocol == protocol_tcp; };
    auto service = key.services.find("ssh");
    if (service == key.services.end()) service = std::ranges::find_if(key.services, is_tcp);
    if (service == key.services.end()) service = key.services.begin();  // there is at least one
    return "next: oneknock open " + name + " " + service->first + (is_tcp(*service) ? " --wait" : "") + "\n";
}

}  // namespace

Result<Imported> import_key(const ImportOptions& options) {
    auto key = read_key(options.file);
    if (!key) return tl::unexpected(key.error());
    const auto folder = config_folder();
    if (!folder) return tl::unexpected(folder.error());
    const auto place = find_place(clear_part(*key), *folder, options.as);
    if (!place) return tl::unexpected(place.error());
    if (const auto made = make_folders(*folder); !made) return tl::unexpected(made.error());
    warn_of_loose_folder(*folder);
    const bool was_locked = is_encrypted(*key);
    const auto wanted = lock_as_wanted(*std::move(key), *place, options);
    if (!wanted) return tl::unexpected(wanted.error());
    if (const auto stored = store(*place, *wanted); !stored) return tl::unexpected(stored.error());
    return Imported{place->files, place->older.has_value(), is_encrypted(*wanted) && !was_locked,
                    next_step(clear_part(*wanted), place->files.name)};
}

Result<void> import_command(const ImportOptions& options) {
    const auto imported = import_key(options);
    if (!imported) return tl::unexpected(imported.error());
    std::string text =
        (imported->replaced ? "replaced by the newer key: " : "imported: ") + printable(imported->files.key) + "\n";
    if (is_there(imported->files.defaults)) text += "defaults: " + printable(imported->files.defaults) + "\n";
    text += imported->next + copies(*imported, options.file);
    return write_standard_output(as_bytes(text));
}

}  // namespace oneknock
