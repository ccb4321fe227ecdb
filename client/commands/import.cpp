#include <cerrno>

#include <sys/stat.h>
#include <unistd.h>

#include "client/commands/commands.hpp"
#include "client/door/key_store.hpp"
#include "client/door/passphrase.hpp"
#include "common/files.hpp"
#include "keys/key_encryption.hpp"

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
        if (got < 0) return tl::unexpected(system_error("read", "standard input", ExitCode::data));
        if (got == 0) break;
        length += static_cast<std::size_t>(got);
        if (length == largest_piped) return fail(ExitCode::data, "standard input: too large for a key file");
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

// A newer key takes the place of an older one of the same client and door; nothing else is ever overwritten.
Result<void> check_is_newer(const KeyFile& key, const KeyFile& present, const std::string& path) {
    const auto keep = [&](const std::string& why) {
        return fail(ExitCode::cannot_create, path + ": " + why + "; not overwritten; to replace it, remove it first");
    };
    if (key.door.id != present.door.id) return keep("is the key of another door of this name");
    if (key.client.name != present.client.name) return keep("is the key of the client " + present.client.name);
    const auto numbers = [](const KeyFile& file) { return std::pair(file.door.generation, file.client.generation); };
    if (numbers(key) == numbers(present)) return keep("already has a key of this generation");
    if (key.door.generation < present.door.generation || key.client.generation < present.client.generation)
        return keep("has a newer generation than the file to import");
    return {};
}

// Under a passphrase where one is wanted, or where the key it replaces has one: then under the same.
Result<StoredKey> lock_as_wanted(StoredKey key, const StoredKey* present, const std::string& path,
                                 const ImportOptions& options) {
    const bool was_locked = present != nullptr && is_encrypted(*present);
    if (is_encrypted(key) || (!was_locked && !options.passphrase)) return key;
    Passphrases passphrases(options.key_fd);
    auto passphrase =
        was_locked
            ? passphrases.unlock(std::get<EncryptedKey>(*present), path).map([](Passphrases::Unlocked&& unlocked) {
                  return std::move(unlocked.passphrase);
              })
            : passphrases.ask_new("new passphrase for " + path);
    if (!passphrase) return tl::unexpected(passphrase.error());
    auto locked = encrypt_key(std::get<KeyFile>(key), *passphrase);
    if (!locked) return tl::unexpected(locked.error());
    return StoredKey{std::move(*locked)};
}

Result<StoredKey> read_key(const std::string& file) {
    const bool piped = file == "-";
    const auto content = piped ? read_standard_input() : read_private_file(file);
    if (!content) return tl::unexpected(content.error());
    return parse_stored_key(content->text(), piped ? "standard input" : file);
}

bool is_there(const std::string& path) {
    struct stat info {};
    return lstat(path.c_str(), &info) == 0;
}

Result<Imported> replace_older(StoredKey key, const std::string& path, const ImportOptions& options) {
    const auto present = read_stored_key(path);
    if (!present) return tl::unexpected(present.error());
    if (auto newer = check_is_newer(clear_part(key), clear_part(*present), path); !newer)
        return tl::unexpected(newer.error());
    return lock_as_wanted(std::move(key), &*present, path, options)
        .and_then([&](const StoredKey& wanted) { return replace_file(path, stored_key_text(wanted).bytes()); })
        .map([&] {
            return Imported{path, true};
        });
}

}  // namespace

Result<Imported> import_key(const ImportOptions& options) {
    auto key = read_key(options.file);
    if (!key) return tl::unexpected(key.error());
    const auto folder = config_folder();
    if (!folder) return tl::unexpected(folder.error());
    if (const auto made = make_folders(*folder); !made) return tl::unexpected(made.error());
    const std::string path = *folder + "/" + clear_part(*key).door.name + ".json";  // a valid name: it was checked
    if (is_there(path)) return replace_older(*std::move(key), path, options);
    return lock_as_wanted(*std::move(key), nullptr, path, options)
        .and_then([&](const StoredKey& wanted) { return create_private_file(path, stored_key_text(wanted).bytes()); })
        .map([&] {
            return Imported{path, false};
        });
}

Result<void> import_command(const ImportOptions& options) {
    const auto imported = import_key(options);
    if (!imported) return tl::unexpected(imported.error());
    return print_line((imported->replaced ? "replaced by the newer key: " : "imported: ") + imported->path);
}

}  // namespace oneknock
