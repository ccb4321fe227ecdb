#include <algorithm>

#include "client/commands/commands.hpp"
#include "client/commands/confirm_sealed.hpp"
#include "client/commands/import_place.hpp"
#include "client/commands/import_source.hpp"
#include "client/door/enrolments.hpp"
#include "client/door/key_store.hpp"
#include "client/door/passphrase.hpp"
#include "common/fd.hpp"
#include "common/files.hpp"
#include "common/log.hpp"
#include "common/text.hpp"
#include "keys/key_encryption.hpp"

namespace oneknock {
namespace {

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

Result<void> store(const ImportPlace& place, const StoredKey& key) {
    return KeysLock::wait_for(folder_of(place.files.key)).and_then([&](const KeysLock& lock) {
        return place.older ? replace_stored_key(lock, place.files.key, *place.older, key)
                           : create_private_file(place.files.key, stored_key_text(key).bytes());
    });
}

std::string copies(const Imported& imported, const std::string& file) {
    if (!imported.used_up.empty())
        return "removed: " + printable(imported.used_up) + ", without which nothing opens the sealed key\n";
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

// At last: whatever ends an import before leaves the half that opens the key, so that it can be begun again.
Result<void> use_up(const Brought& brought) {
    return brought.sealed ? forget_enrolment(brought.sealed->enrolment) : Result<void>{};
}

std::string half_of(const Brought& brought) { return brought.sealed ? brought.sealed->enrolment : ""; }

Result<void> confirm(const Brought& brought, const ImportOptions& options) {
    if (!brought.sealed) return {};
    return confirm_sealed(std::get<KeyFile>(brought.key), *brought.sealed, options);
}

// Where an import of this sealed key was stopped between its last two steps.
std::optional<DoorFiles> interrupted_import(const Brought& brought, const std::string& folder,
                                            std::optional<int> key_fd) {
    return brought.sealed ? find_imported_key(std::get<KeyFile>(brought.key), folder, key_fd) : std::nullopt;
}

Result<Imported> finish_import(const Brought& brought, const DoorFiles& files) {
    log::info("an earlier run stored the key but was stopped before it removed the half that opens it; doing so now");
    return use_up(brought).map([&] {
        return Imported{files, false, false, next_step(clear_part(brought.key), files.name), half_of(brought)};
    });
}

}  // namespace

Result<Imported> import_key(const ImportOptions& options) {
    const auto folder = config_folder();
    if (!folder) return tl::unexpected(folder.error());
    static_cast<void>(KeysLock::take(*folder));  // what is left there goes, whatever becomes of the import
    auto brought = read_brought(options, *folder);
    if (!brought) return tl::unexpected(brought.error());
    if (const auto present = interrupted_import(*brought, *folder, options.key_fd))
        return finish_import(*brought, *present);
    const auto place = find_place(clear_part(brought->key), *folder, options.as);
    if (!place) return tl::unexpected(place.error());
    if (const auto confirmed = confirm(*brought, options); !confirmed) return tl::unexpected(confirmed.error());
    if (const auto made = make_folders(*folder); !made) return tl::unexpected(made.error());
    warn_of_loose_folder(*folder);
    const bool was_locked = is_encrypted(brought->key);
    const auto wanted = lock_as_wanted(std::move(brought->key), *place, options);
    if (!wanted) return tl::unexpected(wanted.error());
    if (const auto stored = store(*place, *wanted); !stored) return tl::unexpected(stored.error());
    if (const auto used_up = use_up(*brought); !used_up) return tl::unexpected(used_up.error());
    return Imported{place->files, place->older.has_value(), is_encrypted(*wanted) && !was_locked,
                    next_step(clear_part(*wanted), place->files.name), half_of(*brought)};
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
